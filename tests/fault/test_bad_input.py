"""The checks of tests/flow/test_bad_input.py fail when dead letters are lost."""
from tests.flow.test_bad_input import CASES, Sent, problems


def test_lost_letters_are_seen(stack):
    cases = [c for c in CASES if c.row in (3, 14, 24, 30)]
    sent = Sent(stack, cases, build="faults", fault__lose_letters=True)
    lettered = [i for i, c in enumerate(cases) if c.want]
    seen = [i for i in lettered if problems(sent, i)]
    print({cases[i].name: problems(sent, i) for i in seen})
    assert seen, "no check sees that letters are missing"
    assert all("dead letters" in p for i in seen for p in problems(sent, i))
