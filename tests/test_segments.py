"""Chinese, Japanese and Thai: as words where a segmenter is installed, as pairs of characters where not."""

import os

import pandas as pd
import pytest

from movrec import ModelError, ParameterError, Recommender
from movrec.workings import segments
from movrec.workings.cells import UNREADABLE
from movrec.workings.evidence import odd_things
from movrec.workings.languages import guess_language
from movrec.workings.segments import SEGMENTERS, cut_into_words, is_installed, script_language
from movrec.workings.text import tokenize
from movrec.workings.word_vectors import spellings, stems
from movrec.workings.words import WordWeights

TEXTS = {
    "chinese": "在废弃的轨道气象站里，年轻的学者发现了父亲的秘密。",
    "japanese": "廃墟となった気象台で、若い学者が父の秘密を見つける。",
    "thai": "นักอุตุนิยมวิทยาหนุ่มพบความลับของพ่อที่สถานีบนยอดเขา",
}
WORDS = {"chinese": "气象站", "japanese": "気象台", "thai": "อุตุนิยมวิทยา"}
NO_SEGMENTERS = 'the extra is missing: pip install "movrec[segment]"'


def needs(language):
    if not is_installed(language):
        pytest.skip(NO_SEGMENTERS)


@pytest.fixture
def without(monkeypatch):
    """No segmenter is installed."""
    monkeypatch.setattr(segments, "is_installed", lambda language: False)


# ---- which language ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        *(([text], language) for language, text in TEXTS.items()),
        (["Heat\n" + TEXTS["japanese"], "Alien\n" + TEXTS["japanese"]], "japanese"),
        ([TEXTS["chinese"]] * 30 + [TEXTS["japanese"]], "chinese"),
        (["七人の侍", "羅生門", "生きる"], "japanese"),
        (["A thief and a detective.", "七人の侍"], None),
        (["Вечер на рейде", "저녁의 게임", "مساء"], None),
        (["လူငယ်တစ်ယောက်"], None),
        ([], None),
        ([""], None),
    ],
)
def test_the_script_tells_the_language(texts, language):
    assert script_language(texts) == language
    assert guess_language(texts) in {language, None, "russian", "english"}


# ---- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", SEGMENTERS)
def test_words_are_those_of_the_language(language):
    needs(language)
    text = TEXTS[language]
    assert WORDS[language] in tokenize(text, language)
    assert WORDS[language] in stems(text, language) and WORDS[language] in spellings(text, language)
    assert (
        "".join(tokenize(text, language)) == "".join(filter(str.isalnum, text))
        or language == "thai"
    )
    assert tokenize("Heat & Salt", language) == tokenize("Heat & Salt")


@pytest.mark.parametrize("language", SEGMENTERS)
def test_other_scripts_within_are_cut_into_pairs(language):
    needs(language)
    others = [text for other, text in TEXTS.items() if (other == "thai") != (language == "thai")]
    for text in others:
        assert tokenize(text, language) == tokenize(text)
    assert tokenize("1999年 Anna", "chinese" if language == "thai" else language)[-1] == "anna"


def test_kana_in_a_chinese_catalogue_are_no_chinese():
    needs("chinese")
    assert cut_into_words("七人の侍", "chinese") == ["七人", "人の", "の侍"]


@pytest.mark.parametrize("language", SEGMENTERS)
def test_function_words_tell_nothing(language):
    needs(language)
    particle = {"chinese": "的", "japanese": "が", "thai": "ที่"}[language]
    assert particle in tokenize(TEXTS[language], language)
    assert particle not in stems(TEXTS[language], language)


def test_pairs_without_a_segmenter(without):
    text = TEXTS["japanese"]
    assert stems(text, None)[:3] == ["廃墟", "墟と", "とな"] == tokenize(text)[:3]
    assert guess_language([text]) is None
    with pytest.raises(ParameterError, match=r'pip install "movrec\[segment\]"'):
        tokenize("旅の画家が港町に着く。", "japanese")


def test_vowels_stay_with_their_words():
    assert stems("चौकीदार को पत्र मिला।", None) == ["चौकीदार", "को", "पत्र", "मिला"]


def test_very_long_runs_are_cut_too():
    needs("japanese")
    assert len(tokenize("若い学者が父の秘密を見つける" * 400, "japanese")) > 2000


def test_nothing_is_left_in_the_home(tmp_path, monkeypatch):
    needs("thai")
    monkeypatch.setenv("HOME", str(tmp_path))
    segments._segmenter.cache_clear()
    assert cut_into_words("พ่อที่สถานี", "thai") == ["พ่อ", "ที่", "สถานี"]
    assert not list(tmp_path.iterdir()) and "PYTHAINLP_READ_ONLY" not in os.environ


# ---- a model -------------------------------------------------------------------------------------

WHO = ["若い学者", "老いた漁師", "無口な侍", "旅の画家"]
WHERE = ["気象台", "港町", "山の寺", "古い劇場"]
WHAT = ["父の秘密を見つける", "沈んだ船を探す", "敵の城を守る"]


@pytest.fixture(scope="module")
def japanese():
    rows = [(who, where, what) for who in WHO for where in WHERE for what in WHAT]
    return pd.DataFrame(
        {
            "id": range(1, len(rows) + 1),
            "title": [f"{where}の物語{n}" for n, (_, where, _) in enumerate(rows)],
            "year": range(1960, 1960 + len(rows)),
            "genres": [["ドラマ"] if n % 2 else ["時代劇"] for n in range(len(rows))],
            "overview": [f"{where}で、{who}が{what}。" for who, where, what in rows],
        }
    )


def build(films, folder):
    from movrec import Doc2VecEmbedder, GenreClassifier

    embedder = Doc2VecEmbedder(epochs=2, progress=False)
    classifier = GenreClassifier(epochs=1, networks=1, progress=False)
    return Recommender.build(
        films,
        folder / "model",
        embedder=embedder,
        classifier=classifier,
        reader=False,
        progress=False,
    )


def test_a_model_keeps_how_it_has_read(japanese, tmp_path, monkeypatch):
    needs("japanese")
    model = build(japanese, tmp_path)
    opened = Recommender.open(tmp_path / "model")
    for one in (model, opened):
        assert one.manifest["language"] == one.words.language_ == "japanese"
        assert "気象台" in one.embedder.vocabulary_ and "象台" not in one.embedder.vocabulary_
        assert "気象台" in one.text_model.terms.vocabulary_
        assert one.words.known("気象台の話") == ["気象台"]
        found = one.recommend_for_text("気象台で働く学者の話。", k=5, match_genres=False)
        assert all("気象台" in title for title in found["title"])
    with monkeypatch.context() as patch:
        patch.setattr(segments, "is_installed", lambda language: False)
        with pytest.raises(ModelError, match=r'janome.*pip install "movrec\[segment\]"') as caught:
            Recommender.open(tmp_path / "model")
        assert "\n" not in str(caught.value)


def test_a_model_of_pairs_stays_one_of_pairs(japanese, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(segments, "is_installed", lambda language: False)
        build(japanese, tmp_path)
    opened = Recommender.open(tmp_path / "model")
    assert opened.manifest["language"] is None
    assert "象台" in opened.embedder.vocabulary_ and "気象台" not in opened.embedder.vocabulary_
    found = opened.recommend_for_text("気象台で働く学者の話。", k=5, match_genres=False)
    assert all("気象台" in title for title in found["title"])


@pytest.mark.parametrize("language", ["klingon", 7, ["thai"]])
def test_a_kept_language_that_is_none(language):
    with pytest.raises(ValueError, match="cut into words"):
        segments.check_segmented(language)
    with pytest.raises(ParameterError):
        WordWeights("klingon").fit(["A."])


def test_the_report_says_how_the_plots_are_read(monkeypatch):
    table = pd.DataFrame({"genres": [UNREADABLE], "overview": [TEXTS["thai"]]})
    monkeypatch.setattr("movrec.workings.evidence.is_installed", lambda language: False)
    assert 'pip install "movrec[segment]" to read them as words' in odd_things(table)[0]
    monkeypatch.setattr("movrec.workings.evidence.is_installed", lambda language: True)
    assert odd_things(table)[0].endswith("pythainlp cuts them into words")
