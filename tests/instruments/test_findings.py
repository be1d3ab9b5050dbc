"""How a finding reads."""

from certify.instruments.findings import CERTAIN, NOTED, SUSPICIOUS, Band, Finding


def test_a_finding_of_a_file_as_a_whole_has_no_line():
    found = Finding("a.bin", 0, "native-undeclared", "this is an ELF binary")
    assert str(found) == "a.bin: this is an ELF binary"
    assert found.text == "[A] a.bin: this is an ELF binary (native-undeclared)"


def test_bands_stand_from_the_surest_on_and_are_letters_in_the_record():
    assert sorted(Band) == [CERTAIN, SUSPICIOUS, NOTED]
    assert [band.value for band in Band] == ["A", "B", "C"]
