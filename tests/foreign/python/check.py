"""The Python client against the library and a real server: the same story as the Kotlin and Swift checks tell.

FIELDBOOK_ADDRESS is the server's base address, FIELDBOOK_CODE a one-time code for a phone of some rep.
"""

import os
import pathlib
import queue
import sys
import tempfile
import threading
import unittest

import fieldbook
import quickstart
from fieldbook._generated import fieldbook as raw

KEY = bytes(range(32))
ADDRESS = os.environ["FIELDBOOK_ADDRESS"]
CODE = os.environ["FIELDBOOK_CODE"]
LONG = 60


class PythonClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        with fieldbook.Client.open(cls.folder / "rep.fieldbook", KEY) as client:
            assert client.me is None
            cls.me = client.enrol(f"{ADDRESS}/enrol#{CODE}", "Python", timeout=LONG)
            client.sync_now(timeout=LONG)

    def setUp(self):
        self.client = fieldbook.Client.open(self.folder / "rep.fieldbook", KEY)
        self.addCleanup(self.client.close)

    def new_lead(self, customer="市第一人民医院 🩺", **fields):
        return self.client.create_lead(
            customer_name=customer, contact_phone="13800000000", need="采购", **fields
        )

    def test_wrong_keys_are_typed_errors(self):
        with self.assertRaises(fieldbook.FieldbookError.Invalid) as caught:
            fieldbook.Client.open(self.folder / "other", b"short")
        self.assertIn("32 bytes", caught.exception.detail)
        self.client.close()
        with self.assertRaises(fieldbook.FieldbookError.Storage) as caught:
            fieldbook.Client.open(self.folder / "rep.fieldbook", bytes(32))
        self.assertEqual("wrong_key", caught.exception.code)

    def test_a_refusal_speaks_the_users_language(self):
        for language, text in [
            (fieldbook.Language.CHINESE, "请先填写：客户名称、联系人手机。"),
            (fieldbook.Language.ENGLISH, "Please fill in: customer name, contact phone."),
        ]:
            with fieldbook.Client.open(self.folder / f"{language.name}", KEY, language=language) as client:
                with self.assertRaises(fieldbook.FieldbookError.Invalid) as caught:
                    client.create_lead(need="采购")
                self.assertEqual(("missing", text), (caught.exception.code, caught.exception.text))
                with self.assertRaises(fieldbook.FieldbookError.Refused) as caught:
                    client.enrol(f"{ADDRESS}/enrol#{CODE}", "another", timeout=LONG)
                self.assertEqual("code_used", caught.exception.code)

    def test_a_bad_id_is_a_typed_error(self):
        with self.assertRaises(fieldbook.FieldbookError.Invalid) as caught:
            self.client.lead("no id")
        self.assertEqual("输入的内容无法保存，请检查后重试。", caught.exception.text)
        with self.assertRaises(fieldbook.FieldbookError.NotFound):
            self.client.lead("02" * 16)

    def test_a_day_without_signal_goes_up_in_one_round(self):
        self.client.set_network(fieldbook.Network.OFFLINE)
        lead = self.new_lead("瑞金医院分院", hospital="瑞金医院", budget_max_fen=380_000_000)
        self.assertEqual([lead], [row.id for row in self.client.leads("rjyyfy")])
        self.client.log_visit(lead, customer_state="3月启动招标", next_action="确认CT机安装场地尺寸")
        self.client.tick(lead, "decision_maker")
        self.client.answer(lead, "budget_approval", "七成")
        contact = self.client.add_contact(lead, name="张院长", role="院长", attitude="支持")
        self.client.edit_contact(lead, contact, attitude="观望")
        self.client.add_todo(lead, "发送产品手册", "2026-01-05")
        self.client.tag(lead, "集采敏感", days=3)
        page = self.client.lead(lead)
        self.assertEqual("确认CT机安装场地尺寸", page.fields.next_action)
        self.assertEqual((33, "观望"), (page.row.index, page.contacts[0].contact.attitude))
        self.assertTrue(page.timeline[0].what.is_visit() and page.tags[0].fresh)
        self.assertIn("发送产品手册", [due.todo.title for due in self.client.today().todos])
        self.assertEqual(8, self.client.status.unanswered)
        report = self.client.sync_now(timeout=LONG)
        self.assertEqual((8, 0), (report.up, report.set_aside))
        self.assertEqual(0, self.client.status.unanswered)
        # The server has ruled by now, at the latest after one more round.
        self.client.sync_now(timeout=LONG)
        self.assertTrue(self.client.lead(lead).row.mine)

    def test_the_last_act_is_taken_back(self):
        lead = self.new_lead()
        self.client.edit_lead(lead, brand="联影")
        self.client.undo()
        self.assertIsNone(self.client.lead(lead).fields.brand)
        self.client.delete_lead(lead)
        self.assertNotIn(lead, [row.id for row in self.client.leads(limit=500)])
        (gone,) = [row for row in self.client.leads(deleted=True) if row.id == lead]
        self.assertFalse(gone.deleted_at_ms is None or gone.edited_since_deleted)
        self.client.restore_lead(lead)
        self.assertIn(lead, [row.id for row in self.client.leads(limit=500)])

    def test_two_phones_keep_both_values_and_share_a_photograph(self):
        lead = self.new_lead("浙大一院")
        self.client.attach(lead, b"\xff\xd8" + bytes(300_000), name="现场.jpg", mime="image/jpeg")
        self.assertEqual(1, self.client.sync_now(timeout=LONG).evidence_up)
        way = self.client.handover(timeout=LONG)
        with fieldbook.Client.open(self.folder / "second.fieldbook", KEY) as second:
            self.assertEqual(self.me.user, second.enrol(way.invitation, "Python 2", timeout=LONG).user)
            second.sync_now(timeout=LONG)
            piece = second.lead(lead).evidence[0]
            self.assertEqual(fieldbook.EvidencePlace.ELSEWHERE, piece.place)
            self.assertEqual(300_002, len(second.evidence(lead, piece.hash, timeout=LONG)))
            self.client.edit_lead(lead, brand="联影")
            second.edit_lead(lead, brand="西门子")
            self.client.sync_now(timeout=LONG)
            second.sync_now(timeout=LONG)
            (conflict,) = second.conflicts(lead)
            self.assertEqual([conflict], [c for c in second.all_conflicts() if c.lead == lead])
            self.assertEqual("浙大一院", conflict.subject)
            self.assertEqual(("倾向品牌", 2), (conflict.label, len(conflict.values)))
            self.assertEqual([lead], [row.id for row in second.leads(only_conflicts=True)])
            mine = [value.value for value in conflict.values].index(fieldbook.FieldValue.TEXT("联影"))
            second.resolve(conflict, mine)
            with self.assertRaises(fieldbook.FieldbookError.Invalid) as caught:
                second.resolve(conflict, mine)
            self.assertEqual("stale", caught.exception.code)
            second.sync_now(timeout=LONG)
            self.assertEqual({"Python", "Python 2"}, {p.name for p in second.phones(timeout=LONG)} & {"Python", "Python 2"})
        self.client.sync_now(timeout=LONG)
        self.assertEqual(("联影", []), (self.client.lead(lead).fields.brand, self.client.conflicts(lead)))

    def test_what_belongs_to_a_lead_comes_and_goes(self):
        lead = self.new_lead()
        self.client.edit_notes(lead, "", "三月招标")
        self.client.remove_contact(lead, self.client.add_contact(lead, name="张院长"))
        done, gone = self.client.add_todo(lead, "发手册"), self.client.add_todo(lead, "回访")
        self.client.complete_todo(lead, done)
        self.client.remove_todo(lead, gone)
        self.client.tag(lead, "老客户")
        self.client.untag(lead, "老客户")
        touch = fieldbook.Touch(
            channel=fieldbook.TouchChannel.PHONE,
            direction=fieldbook.TouchDirection.OUT,
            outcome=fieldbook.TouchOutcome.NO_REPLY,
            text="无人接听",
            at_ms=None,
        )
        call = self.client.log_touch(lead, touch)
        proposal = self.client.propose_stage(lead, "方案", note="已见院长")
        self.client.retract(lead, call)
        page = self.client.lead(lead)
        self.assertEqual(("三月招标", [], []), (page.notes, page.contacts, page.tags))
        self.assertEqual([(done, True)], [(item.id, item.todo.done) for item in page.todos])
        self.assertEqual([proposal], [item.id for item in page.timeline])

    def test_the_rules_speak_without_signal(self):
        self.client.set_network(fieldbook.Network.OFFLINE)
        lead = self.new_lead("华山医院", budget_max_fen=380_000_000)
        self.assertIn("拜访摘要", self.client.may_start_talk(lead).refusal)
        note = self.client.read_note("华山医院张院长倾向联影，预算380万", "2026-02-17")
        said = (note.brand, note.budget_max_fen, [row.id for row in note.leads])
        self.assertEqual(("联影", 380_000_000, [lead]), said)
        self.assertTrue(self.client.first_contact("您目前最关注设备的哪个参数？").effective)
        plan = self.client.end_of_talk(lead, "上次报价太贵，再考虑考虑")
        pack = self.client.talk_pack(plan.talk_packs[0])
        self.assertEqual(("嫌贵", "五年总费用测算表"), (pack.title, self.client.material(pack.materials[0].id).title))
        self.assertEqual([], self.client.similar_lost_deals(lead), "nobody has written one down")
        self.assertIn("payment-terms", [found.id for found in self.client.search_playbook("账期").packs])
        visit = fieldbook.Visit(note="CTO认可技术方案")
        done = self.client.finish_talk(
            lead, visit, next_contact=plan.next_contact, todo=plan.todo, customer_state=plan.customer_state
        )
        self.assertEqual(done.entry, self.client.may_start_talk(lead).shown_by)
        policy = self.client.policy()
        for tick in policy.loss_ticks:
            self.client.tick_loss(lead, tick.id)
        self.client.log_signal(lead, "chat", text="想了解CT")
        proposal = self.client.propose_stage(lead, "quotation")
        judgement = self.client.judge(lead)
        self.assertEqual(("医疗器械", 8_200), (policy.name, judgement.loss.risk_bp))
        (made,) = judgement.stage.proposals
        self.assertIn("名称含 Quotation 的 PDF 报价单", made.verdict.missing)
        self.assertEqual([("responses", ["裁定"])], [(u.part, u.missing) for u in judgement.undetermined if u.part == "responses"])
        question = judgement.questions[0]
        self.client.answer_question(lead, question.key, "已立项")
        self.assertEqual("已立项", self.client.judge(lead).questions[0].answer)
        risk = [task.at_risk_text for task in self.client.home().top if task.lead == lead]
        self.assertIn("不处理影响：丢失380万元商机", risk)
        self.assertTrue(self.client.is_vague_purpose("沟通"))
        self.assertFalse(self.client.mark_read(lead), "nobody has assigned it yet")
        with self.assertRaises(fieldbook.FieldbookError.Refused) as caught:
            self.client.approve(lead, proposal)
        self.assertEqual("leaders_only", caught.exception.code)

    def test_an_account_is_made_found_and_edited(self):
        account = self.client.create_account(name="仁济集团", city="上海", notes="三个院区")
        self.client.edit_account(account, clear=["city"], phone="021-00000000")
        page = self.client.account(account)
        self.assertEqual(("仁济集团", None, "021-00000000"), (page.fields.name, page.fields.city, page.fields.phone))
        self.assertEqual([account], [row.id for row in self.client.accounts("rjjt")])

    def test_a_file_is_attached(self):
        lead = self.new_lead()
        path = self.folder / "form.pdf"
        path.write_bytes(b"%PDF-1.7")
        self.client.attach(lead, path, name="form.pdf", mime="application/pdf")
        (piece,) = self.client.lead(lead).evidence
        self.assertEqual(b"%PDF-1.7", self.client.evidence(lead, piece.hash))

    def test_todays_blocks_lie_on_the_board(self):
        day = self.client.today().day
        entry = self.client.plan_entry(day=day, purpose="确认场地", importance="A类客户")
        mine = lambda: [item for item in self.client.board() if item.id == entry]
        self.client.edit_entry(entry, materials="图纸")
        self.assertIn("确认场地", self.client.sheet())
        (item,) = mine()
        self.assertEqual(
            ("图纸", fieldbook.Importance.A, fieldbook.Urgency.TODAY),
            (item.entry.materials, item.cell.importance, item.cell.urgency),
        )
        self.client.complete_entry(entry)
        self.assertEqual([], mine())
        self.client.complete_entry(entry, False)
        self.client.remove_entry(entry)
        self.assertEqual([], mine())

    def test_a_phone_is_left_and_another_is_ended(self):
        self.client.settle()
        self.client.maintain()
        self.assertEqual([], self.client.kept())
        gone = fieldbook.KeptItem(
            doc="02" * 16, lead=None, customer_name="", number=1, code="not_yours", text="", words=[], at_ms=0
        )
        with self.assertRaises(fieldbook.FieldbookError.NotFound):
            self.client.dismiss_kept(gone)
        self.assertEqual("已取消。", self.client.sentence("cancelled"))
        self.new_lead()
        way = self.client.handover(timeout=LONG)
        self.assertGreater(way.unsent, 0)
        with fieldbook.Client.open(self.folder / "third.fieldbook", KEY) as third:
            device = third.enrol(way.invitation, "Python 3", timeout=LONG).device
            self.client.end_phone(device, stolen=True, timeout=LONG)
            with self.assertRaises(fieldbook.FieldbookError.Enrolment) as caught:
                third.sync_now(timeout=LONG)
            self.assertEqual("wiped", caught.exception.code)
        with fieldbook.Client.open(self.folder / "fourth.fieldbook", KEY) as fourth:
            fourth.enrol(self.client.handover(timeout=LONG).invitation, "Python 4", timeout=LONG)
            fourth.create_lead(customer_name="customer", contact_phone="13800000000", need="采购")
            with self.assertRaises(fieldbook.FieldbookError.Invalid):
                fourth.leave()
            fourth.leave(discard_unsent=True)
            self.assertIsNone(fourth.me)

    def test_the_calendar_moves_across_months(self):
        entry = self.client.plan_entry(day="2026-03-31", purpose="确认CT机安装场地尺寸", importance="A类客户")
        self.client.move_entry(entry, "2026-04-01")
        self.assertNotIn(entry, [item.id for item in self.client.calendar("2026-03")])
        self.assertIn(entry, [item.id for item in self.client.calendar("2026-04")])
        self.client.undo()
        self.assertIn(entry, [item.id for item in self.client.calendar("2026-03")])

    def test_a_standing_connection_sends_by_itself(self):
        with self.client.changes() as changes:
            self.client.start_background()
            self.new_lead()
            while self.client.status.unanswered:
                self.assertIsNotNone(changes.wait(LONG))
            self.client.stop_background()

    def test_long_calls_time_out_and_are_cancelled(self):
        with self.assertRaises(fieldbook.FieldbookError.Offline) as caught:
            self.client.sync_now(timeout=0)
        self.assertEqual("timed_out", caught.exception.code)
        token = fieldbook.CancelToken()
        token.cancel()
        with self.assertRaises(fieldbook.FieldbookError.Cancelled):
            self.client.sync_now(timeout=LONG, cancel=token)

    def test_changes_arrive_in_order_and_end_with_the_client(self):
        changes = self.client.changes()
        ids = [self.new_lead(f"customer {n}") for n in range(3)]
        self.client.close()
        self.assertEqual(ids, [change.id for change in changes if change.is_lead()])

    def test_closing_the_iterator_ends_it(self):
        with self.client.changes() as changes:
            pass
        self.new_lead()
        self.assertEqual([], list(changes))

    def test_a_slow_reader_is_told_that_it_missed_something(self):
        changes = self.client.changes()
        for n in range(fieldbook.CHANGES_HELD):
            self.new_lead(f"customer {n}")
        self.client.close()
        seen = list(changes)
        self.assertTrue(seen[0].is_everything())
        self.assertEqual(fieldbook.CHANGES_HELD + 1, len(seen))

    def test_a_blocked_call_leaves_other_threads_running(self):
        blocked = threading.Thread(target=self.client.sync_now)
        blocked.start()
        turns = 0
        while blocked.is_alive():
            self.client.leads()
            turns += 1
        self.assertGreater(turns, 0)

    def test_a_listener_that_throws_harms_nobody(self):
        class Broken(raw.ChangeListener):
            calls = 0

            def on_change(self, change):
                Broken.calls += 1
                raise RuntimeError("the app's own bug")

        subscription = self.client._raw.subscribe(Broken())
        good = self.client.changes()
        self.new_lead()
        while (change := good.wait(LONG)) and not change.is_status():
            pass
        self.assertIsNotNone(change)
        self.assertGreater(Broken.calls, 0)
        subscription.cancel()

    def test_the_quickstart_does_what_its_page_says(self):
        here = pathlib.Path.cwd()
        self.addCleanup(os.chdir, here)
        (self.folder / "quickstart").mkdir()
        os.chdir(self.folder / "quickstart")
        quickstart.first(KEY, self.client.handover(timeout=LONG).invitation)
        self.client.sync_now(timeout=LONG)
        [lead] = [row.id for row in self.client.leads("rjyy") if row.customer_name == "瑞金医院"]

        with fieldbook.Client.open("rep.fieldbook", KEY) as second:
            for client, brand in ((self.client, "联影"), (second, "西门子")):
                client.edit_lead(lead, brand=brand)
            second.sync_now(timeout=LONG)
        self.client.sync_now(timeout=LONG)
        self.assertEqual(1, len(self.client.conflicts(lead)))
        quickstart.conflicts(self.client, lead)
        self.assertEqual([], self.client.conflicts(lead))

        pathlib.Path("单据.jpg").write_bytes(b"\xff\xd8" + bytes(3000))
        quickstart.evidence(self.client, lead, self.client.lead(lead).timeline[0].id)
        self.assertEqual(fieldbook.EvidencePlace.SAFE, self.client.lead(lead).evidence[0].place)

        quickstart.errors(self.client, self.fail, self.fail, self.fail)
        asked = []
        with fieldbook.Client.open("fresh", KEY) as fresh:
            quickstart.errors(fresh, self.fail, self.fail, asked.append)
        self.assertEqual(1, len(asked))

        shown = queue.Queue()
        quickstart.stay_connected(self.client, shown.put)
        self.assertIn(lead, [row.id for row in shown.get(timeout=LONG)])
        made = self.new_lead()
        while made not in [row.id for row in shown.get(timeout=LONG)]:
            pass

    def test_a_closed_client_answers_closed(self):
        self.client.close()
        self.client.close()
        for call in (self.client.leads, self.new_lead, self.client.changes, lambda: self.client.status):
            with self.assertRaises(fieldbook.FieldbookError.Closed):
                call()


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(0 if result.testsRun and not bad else 1)
