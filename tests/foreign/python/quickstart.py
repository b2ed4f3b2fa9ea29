"""The code of ffi/python/README.md, word for word (tests/tests/quickstart.rs compares), each part as a function that check.py runs."""

# snippet: imports
import pathlib
import threading

import fieldbook
# end


def first(key, invitation):
    # snippet: first
    with fieldbook.Client.open("rep.fieldbook", key) as book:
        book.enrol(invitation, "我的手机")
        lead = book.create_lead(customer_name="瑞金医院", contact_phone="021-00000000", need="采购")
        book.log_visit(lead, customer_state="方案沟通", next_action="确认CT机安装场地尺寸", expected_close="2026-12-20")
        book.tick(lead, "decision_maker")
        print([row.customer_name for row in book.leads("rjyy")])
        print(book.sync_now())
    # end


def stay_connected(book, show):
    # snippet: background
    changes = book.changes()

    def watch():
        show(book.leads())
        for change in changes:
            if change.is_lead() or change.is_everything():
                show(book.leads())

    threading.Thread(target=watch, daemon=True).start()
    book.start_background()
    # end


def errors(book, show, log, ask_for_invitation):
    # snippet: errors
    try:
        book.sync_now(timeout=10)
    except fieldbook.FieldbookError.Offline:
        pass  # It is all on the disk and goes up with the next contact.
    except fieldbook.FieldbookError.Enrolment as problem:
        ask_for_invitation(problem.text)
    except fieldbook.FieldbookError as problem:
        show(problem.text)
        log(problem.code, problem.detail)
    # end


def conflicts(book, lead):
    # snippet: conflicts
    for conflict in book.conflicts(lead):
        for choice in conflict.values:
            print(conflict.label, choice.value, choice.user_name, choice.device_name)
        book.resolve(conflict, 0)
    # end


def evidence(book, lead, visit):
    # snippet: evidence
    photo = pathlib.Path("单据.jpg")
    book.attach(lead, photo, name=photo.name, mime="image/jpeg", event=visit, unmetered_only=True)
    book.set_network(fieldbook.Network.UNMETERED)
    book.sync_now()
    piece = book.lead(lead).evidence[0]
    print(piece.place, len(book.evidence(lead, piece.hash)))
    # end
