"""The Python client against the library: the same story as the Kotlin and Swift checks tell."""

import sys
import tempfile
import threading
import unittest

import fieldbook
from fieldbook._generated import fieldbook as raw

KEY = bytes(range(32))


class PythonClient(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.client = fieldbook.Client.open(self.folder, KEY)
        self.addCleanup(self.client.close)

    def test_a_wrong_key_is_a_typed_error_with_detail(self):
        with self.assertRaises(fieldbook.FieldbookError.Invalid) as caught:
            fieldbook.Client.open(self.folder, b"short")
        self.assertIn("32 bytes", caught.exception.detail)

    def test_chinese_text_survives_the_border(self):
        lead = self.client.create_lead("市第一人民医院 🩺")
        self.client.create_lead("Riverside Clinic")
        self.assertEqual([lead], self.client.leads("第一"))
        self.assertEqual(2, len(self.client.leads()))

    def test_changes_arrive_in_order_and_end_with_the_client(self):
        changes = self.client.changes()
        ids = [self.client.create_lead(f"account {n}").id for n in range(3)]
        self.client.close()
        self.assertEqual(ids, [change.id for change in changes])

    def test_closing_the_iterator_ends_it(self):
        with self.client.changes() as changes:
            pass
        self.client.create_lead("unseen")
        self.assertEqual([], list(changes))

    def test_a_slow_reader_is_told_that_it_missed_something(self):
        changes = self.client.changes()
        for n in range(fieldbook.CHANGES_HELD + 10):
            self.client.create_lead(f"account {n}")
        self.client.close()
        seen = list(changes)
        self.assertTrue(seen[0].is_everything())
        self.assertEqual(fieldbook.CHANGES_HELD + 1, len(seen))

    def test_sync_reports_times_out_and_is_cancelled(self):
        self.client.create_lead("account")
        self.assertEqual(1, self.client.sync_now(timeout=10).acknowledged)
        with self.assertRaises(fieldbook.FieldbookError.Offline):
            self.client.sync_now(timeout=0.02)
        token = fieldbook.CancelToken()
        token.cancel()
        with self.assertRaises(fieldbook.FieldbookError.Cancelled):
            self.client.sync_now(timeout=10, cancel=token)

    def test_a_blocked_call_leaves_other_threads_running(self):
        turns = []
        blocked = threading.Thread(target=self.client.sync_now)
        blocked.start()
        while blocked.is_alive():
            turns.append(len(self.client.leads()))
        self.assertGreater(len(turns), 10)

    def test_a_listener_that_throws_harms_nobody(self):
        class Broken(raw.ChangeListener):
            calls = 0

            def on_change(self, change):
                Broken.calls += 1
                raise RuntimeError("the app's own bug")

        subscription = self.client._raw.subscribe(Broken())
        good = self.client.changes()
        self.client.create_lead("one")
        self.client.create_lead("two")
        self.assertEqual(2, Broken.calls)
        self.assertIsNotNone(good.wait(5))
        subscription.cancel()

    def test_a_closed_client_answers_closed(self):
        self.client.close()
        self.client.close()
        for call in (self.client.leads, lambda: self.client.create_lead("x"), self.client.changes):
            with self.assertRaises(fieldbook.FieldbookError.Closed):
                call()


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(0 if result.testsRun and not bad else 1)
