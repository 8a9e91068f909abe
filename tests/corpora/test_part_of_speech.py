"""Nouns and adjectives of a table with Penn tags."""

import pytest
from listed_corpus import write

from ood_lightning.corpora.part_of_speech import PartOfSpeech
from ood_lightning.errors import CorpusError

TAGGED = (
    "index,word,pos_tag\n0,Blue,JJ\n1,crane,NN\n2,cranes,NNS\n3,run,VB\n4,null,NN\n5,blue,NN\n6,bluer,JJR\n7,nan,NN\n"
)


def test_a_part_of_speech_table_gives_nouns_then_adjectives(caplog: pytest.LogCaptureFixture):
    path = write("pos.csv", TAGGED)
    both, nouns = PartOfSpeech(path).load(), PartOfSpeech(path, "noun").load()
    assert nouns.words == ("crane", "null", "blue", "nan")
    assert (both.words, both.name, nouns.name) == (nouns.words, "pos_na", "pos_n")  # blue stays a noun
    assert "(noun) gives 4 words; the table of ClusterMine's paper gives 230960" in caplog.text

    more = PartOfSpeech(write("pos.csv", f"{TAGGED}8,tall,JJ\n")).load()
    assert more.words[-1] == "tall"
    assert more.parts == ("noun",) * 4 + ("adj",)

    with pytest.raises(CorpusError, match="has no column 'pos_tag'"):
        PartOfSpeech(write("pos.csv", "word,tag\nx,NN\n")).load()
    with pytest.raises(CorpusError, match=r"expected one of noun, noun\+adj"):
        PartOfSpeech(path, "adj")  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_full_part_of_speech_table_is_not_warned_about(caplog: pytest.LogCaptureFixture):
    rows = [f"{i},n{i},NN" for i in range(230_960)] + [f"{i},a{i},JJ" for i in range(39_206)]
    path = write("pos.csv", "index,word,pos_tag\n" + "\n".join(rows) + "\n")
    assert len(PartOfSpeech(path, "noun").load()) == 230_960
    assert len(PartOfSpeech(path).load()) == 270_166
    assert not caplog.records
