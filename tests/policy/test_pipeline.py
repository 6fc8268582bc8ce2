"""The pipeline of checks."""

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.core.outcome import PASS, Verdict
from hermes.core.policy import Case, Stage
from hermes.core.reply import Reply
from hermes.core.visit import Visit
from hermes.interfaces import ICheck
from hermes.policy.pipeline import Pipeline

NO = Verdict(Reply.of(550, "5.7.1", "No"), "test.no")


@implementer(ICheck)
class Check:
    """Answers what it is told to, and remembers that it was asked."""

    def __init__(
        self,
        answer: Callable[[], Verdict | Awaitable[Verdict]] = lambda: PASS,
        stages: tuple[Stage, ...] = (Stage.SENDER,),
        momentary: bool = False,
    ) -> None:
        self.name = "test"
        self.stages = stages
        self.momentary = momentary
        self.cases: list[Case] = []
        self._answer = answer

    def judge(self, case: Case) -> Verdict | Awaitable[Verdict]:
        """Give the answer."""
        self.cases.append(case)
        return self._answer()


class Later:
    """An answer that is given when the test says so."""

    def __init__(self) -> None:
        self.deferred: Deferred[Verdict] = Deferred()

    async def _wait(self) -> Verdict:
        return await self.deferred

    def __call__(self) -> Awaitable[Verdict]:
        """Begin to wait."""
        return self._wait()


def case(stage: Stage = Stage.SENDER) -> Case:
    """Something to judge."""
    return Case(stage, Visit("192.0.2.7"))


class PipelineTests(SynchronousTestCase):
    """Asking checks."""

    def test_order(self) -> None:
        """Checks are asked in their order until one refuses; those behind it are not asked."""
        first, second, third = Check(), Check(lambda: NO), Check()
        self.assertIs(Pipeline([first, second, third]).judge(case()), NO)
        self.assertEqual([len(each.cases) for each in (first, second, third)], [1, 1, 0])

    def test_all_pass(self) -> None:
        """What nobody refuses is passed, without waiting."""
        self.assertIs(Pipeline([Check(), Check()]).judge(case()), PASS)

    def test_stages(self) -> None:
        """A check is asked at the stages that it names, and wanted() says where there are checks."""
        check = Check(stages=(Stage.HELLO,))
        pipeline = Pipeline([check])
        pipeline.judge(case())
        self.assertEqual(check.cases, [])
        pipeline.judge(case(Stage.HELLO))
        self.assertEqual(len(check.cases), 1)
        self.assertTrue(pipeline.wanted(Stage.HELLO))
        self.assertFalse(pipeline.wanted(Stage.SENDER))

    def test_waiting(self) -> None:
        """Where a check waits, those behind it wait for it; its refusal is the last word."""
        later, behind = Later(), Check()
        answer = Pipeline([Check(later), behind]).judge(case())
        self.assertNotIsInstance(answer, Verdict)
        waiting = Deferred.fromCoroutine(answer)  # type: ignore[arg-type]
        self.assertNoResult(waiting)
        self.assertEqual(behind.cases, [])
        later.deferred.callback(NO)
        self.assertIs(self.successResultOf(waiting), NO)
        self.assertEqual(behind.cases, [])

    def test_waiting_passes(self) -> None:
        """After one that waited the others are asked, whether they wait or not."""
        first, third = Later(), Later()
        second = Check()
        answer = Pipeline([Check(first), second, Check(third), Check(lambda: NO)]).judge(case())
        waiting = Deferred.fromCoroutine(answer)  # type: ignore[arg-type]
        first.deferred.callback(PASS)
        self.assertEqual(len(second.cases), 1)
        self.assertNoResult(waiting)
        third.deferred.callback(PASS)
        self.assertIs(self.successResultOf(waiting), NO)

    def test_lasting(self) -> None:
        """Those whose answer depends on the moment can be left out."""
        momentary = Check(lambda: NO, momentary=True)
        both = Check(stages=(Stage.HELLO, Stage.SENDER))
        pipeline = Pipeline([momentary, both])
        self.assertEqual(pipeline.checks(), [momentary, both])
        self.assertIs(pipeline.lasting().judge(case()), PASS)
        self.assertEqual(pipeline.lasting().checks(), [both])


class RefusalTests(SynchronousTestCase):
    """What has been refused already."""

    def test_each_is_asked_about_the_last_word(self) -> None:
        """All checks are asked, each about what the one before has said; the last word is said."""
        other = Verdict(Reply.of(554, "5.7.1", "Never"), "test.never")
        stages = (Stage.REFUSED,)
        heard: list[Verdict] = []
        asked = case(Stage.REFUSED)
        asked.verdict = NO

        def listening(answer: Verdict) -> Check:
            def hear() -> Verdict:
                heard.append(asked.verdict)
                return answer

            return Check(hear, stages)

        pipeline = Pipeline([listening(PASS), listening(other), listening(PASS)])
        self.assertIs(pipeline.judge(asked), other)
        self.assertEqual(heard, [NO, NO, other])

    def test_no_word(self) -> None:
        """Where none has anything to say the refusal stays."""
        self.assertIs(Pipeline([Check(stages=(Stage.REFUSED,))]).judge(case(Stage.REFUSED)), PASS)
        self.assertIs(Pipeline().judge(case(Stage.REFUSED)), PASS)

    def test_waiting(self) -> None:
        """One that wants to wait is not waited for here: whoever asks sees it."""
        later = Later()
        answer = Pipeline([Check(later, (Stage.REFUSED,)), Check(lambda: NO, (Stage.REFUSED,))]).judge(
            case(Stage.REFUSED)
        )
        self.assertNotIsInstance(answer, Verdict)
        answer.close()  # type: ignore[union-attr]
