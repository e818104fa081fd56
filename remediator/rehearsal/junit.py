"""What came of tests as JUnit XML, for CI systems. Pure.

The format is the common part of what Jenkins, GitLab and GitHub's reporters read: a suite for each
file, a case for each test, `failure` for what was not as expected, `error` for a file with faults.
"""

import re
from collections.abc import Iterable
from xml.etree import ElementTree as Xml

from remediator.observe import masking
from remediator.rehearsal import report
from remediator.rehearsal.report import Printed
from remediator.rehearsal.suite import FileResult, Outcome

# What XML 1.0 can't hold at all, however it is written.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def written(outcome: Outcome, took_s: float) -> bytes:
    """Return the document."""
    root = Xml.Element(
        "testsuites",
        {
            "name": "remediator test",
            "tests": str(outcome.passed + outcome.failed + outcome.broken),
            "failures": str(outcome.failed),
            "errors": str(outcome.broken),
            "time": f"{took_s:.3f}",
        },
    )
    for file in outcome.files:
        root.append(_suite(file))
    Xml.indent(root)
    found: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return found


def _suite(file: FileResult) -> Xml.Element:
    failed = sum(not one.passed for one in file.played)
    broken = 1 if file.findings else 0
    suite = Xml.Element(
        "testsuite",
        {
            "name": _legal(str(file.path)),
            "tests": str(len(file.played) + broken),
            "failures": str(failed),
            "errors": str(broken),
            "skipped": "0",
            "time": f"{sum(one.took_s for one in file.played):.3f}",
        },
    )
    classname = file.path.name.partition(".test.")[0]
    for played in file.played:
        case = Xml.SubElement(
            suite,
            "testcase",
            {
                "classname": _legal(classname),
                "name": _legal(played.case.spec.name),
                "file": _legal(str(file.path)),
                "time": f"{played.took_s:.3f}",
            },
        )
        if played.passed:
            continue
        first = played.failures[0]
        message = f"{first.what}: {first.note}" if first.note else f"{first.what} differs"
        failure = Xml.SubElement(case, "failure", {"message": _legal(message), "type": "expected"})
        failure.text = _text(report.of_test(played))
    if file.findings:
        case = Xml.SubElement(
            suite,
            "testcase",
            {"classname": _legal(classname), "name": "the file can be read", "time": "0.000"},
        )
        first_fault = file.findings[0]
        error = Xml.SubElement(
            case, "error", {"message": _legal(first_fault.message), "type": first_fault.code}
        )
        error.text = _legal("\n".join(map(str, file.findings)))
    return suite


def _text(lines: Iterable[Printed]) -> str:
    return _legal("\n".join(line.text for line in lines))


def _legal(text: str) -> str:
    return _ILLEGAL.sub("�", masking.text(text))
