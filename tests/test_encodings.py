"""Text files in the encodings that people have: which one is taken, and that it is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mmdemo.errors import TextError
from mmdemo.tasks.encodings import NAMES, decoded
from mmdemo.tasks.passages import Document, open_document, read_document
from mmdemo.ui.parts.markup import message
from mmdemo.ui.strings import CODES
from mmdemo.ui.tabs.text import handlers, views
from tests.conftest import Command

GERMAN = (
    "Über große Straßen",
    "Titel für die Übersicht",
    "Der Bär schläft im Gebüsch.",
    "Färöische Schafe auf Hügeln",
    "Größere Wale fressen Krill im Südmeer.",
    "Schöne Grüße aus München und Köln!",
    "Optionen für die Eingabe prüfen",
    "Rückwärts über die Brücke, zögernd und müde.",
)
FRENCH = (
    "près de la forêt",
    "Le titre de la préférence",
    "Une baleine bleue mangée par l'été",
    "l'en-tête de l'archive est périmé",
    "Où êtes-vous né, à Orléans ?",
    "« Être ou ne pas être » — c'est ça.",
    "Elle a déjà goûté le fromage râpé.",
    "Les évènements précédents à Noël",
)
SIMPLIFIED = (
    "蓝鲸以磷虾为食，体长三十米。",
    "这座桥横跨哈得孙河。",
    "故障代码 E42 表示电池电量不足。",
    "请先安装驱动程序，然后重启。",
    "git 命令的用法（简介）",
    "模型只读取前 512 个 token",
    "图片与文本在同一个空间里",
    "你好，世界！欢迎来到北京",
)
TRADITIONAL = (
    "藍鯨以磷蝦為食，體長三十公尺。",
    "這座橋橫跨哈德遜河。",
    "故障代碼 E42 表示電量不足",
    "請先安裝驅動程式，然後重新啟動。",
    "圖片與文字在同一個空間裡",
    "歡迎來到臺北，今天天氣很好",
    "沒有這樣的檔案或目錄",
    "選項 --backup 和 --force 互斥",
)
JAPANESE = (
    "シロナガスクジラはオキアミを食べます。",
    "ファイルを開くことができませんでした",
    "東京から京都まで新幹線で行きます。",
)
RUSSIAN = (
    "Синий кит питается крилем.",
    "Не удалось открыть файл",
    "Мост через реку Гудзон построен в 1930 году.",
)

SHORT = [
    *((text, "cp1252") for text in (*GERMAN, *FRENCH)),
    *((text, "gbk") for text in SIMPLIFIED),
    *((text, "big5") for text in TRADITIONAL),
]
LONG = [
    ("\n\n".join(GERMAN), "cp1252"),
    ("\n\n".join(FRENCH), "cp1252"),
    ("\n\n".join(SIMPLIFIED), "gb18030"),
    ("\n\n".join(TRADITIONAL), "big5"),
]
NAME = {"cp1252": "Windows-1252", "gbk": "GB18030", "gb18030": "GB18030", "big5": "Big5"}


def test_the_short_ones_are_short() -> None:
    lengths = [len(text.encode(encoding)) for text, encoding in SHORT]
    assert min(lengths) >= 15
    assert max(lengths) <= 60


@pytest.mark.parametrize(("text", "encoding"), [*SHORT, *LONG])
def test_short_and_long_texts_are_read_in_their_encoding(text: str, encoding: str) -> None:
    assert decoded(text.encode(encoding)) == (text, NAME[encoding])


@pytest.mark.parametrize("text", [*GERMAN[:2], *SIMPLIFIED[:2], *JAPANESE, *RUSSIAN])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8", "utf-8-sig"])
def test_unicode_with_a_mark_and_without(text: str, encoding: str) -> None:
    text = f"{text}\n{text}"
    name = "UTF-16" if "16" in encoding else "UTF-8"
    assert decoded(text.encode(encoding)) == (text, name)


def test_what_is_in_two_languages_is_read() -> None:
    text = "蓝鲸以磷虾为食。\nnaïve"
    assert decoded(text.encode("gb18030")) == (text, "GB18030")


@pytest.mark.parametrize("text", [*JAPANESE, "\n".join(JAPANESE * 4)])
@pytest.mark.parametrize("encoding", ["shift_jis", "euc_jp"])
def test_japanese_of_other_encodings_is_refused(text: str, encoding: str) -> None:
    assert decoded(text.encode(encoding)) is None


@pytest.mark.parametrize("text", [*RUSSIAN, "\n".join(RUSSIAN * 4)])
@pytest.mark.parametrize("encoding", ["cp1251", "koi8_r"])
def test_russian_of_other_encodings_is_refused(text: str, encoding: str) -> None:
    assert decoded(text.encode(encoding)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\rIHDR",
        b"\xff\xff\xff",
        b"\0",
        b"a\0b",
        bytes(range(256)),
        "吾輩は猫である。".encode("iso2022_jp"),
        "Über große Straßen läuft ein täglich größeres Gerät.".encode("mac_roman"),
        "Über große Straßen läuft ein täglich größeres Gerät.".encode("cp850"),
    ],
)
def test_what_is_no_text_is_refused_with_what_is_accepted(data: bytes) -> None:
    with pytest.raises(
        TextError, match="UTF-8, UTF-16, UTF-32, Windows-1252, GB18030, Big5"
    ) as caught:
        read_document(data, "x.txt")
    assert set(str(caught.value.values["known"]).split(", ")) == set(NAMES.values())


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%PDF-1.7\n1 0 obj", "PDF"),
        (b"\xef\xbb\xbf%PDF-1.7", "PDF"),
        (b"PK\x03\x04\x14\0", "office document"),
        (b"{\\rtf1 hello}", "RTF"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG picture"),
    ],
)
def test_a_file_of_another_kind_is_named(data: bytes, kind: str) -> None:
    with pytest.raises(TextError, match=f"'x.txt' is .*{kind}.*Save what it says") as caught:
        read_document(data, "x.txt")
    assert caught.value.code == "document_kind"


def test_utf_32_is_known_by_its_mark() -> None:
    assert decoded("蓝鲸 große".encode("utf-32")) == ("蓝鲸 große", "UTF-32")


# What becomes of it.


def test_a_document_says_what_it_was_read_in(tmp_path: Path) -> None:
    path = tmp_path / "über.txt"
    path.write_bytes("Über große\r\nStraßen\rführt der Weg.".encode("cp1252"))
    document = open_document(path)
    assert document == Document("Über große\nStraßen\nführt der Weg.", "Windows-1252", "über.txt")
    for language in CODES:
        said = views.encoding_taken(document, language)
        assert "Windows-1252" in said
        assert "“über.txt”" in said
        assert not views.encoding_taken(Document("a", "UTF-8", "a.txt"), language)
    hostile = Document("a", "Big5", "<img src=x>.txt")
    assert "<img" not in message(views.encoding_taken(hostile, "en"))
    given: Any = [str(path)]
    assert handlers.load_document(given, "en").passages == "Über große\n\nStraßen\n\nführt der Weg."


@pytest.mark.parametrize(("encoding", "said"), [("cp1252", True), ("utf-8", False)])
def test_the_command_line_says_it(
    encoding: str, said: bool, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "weg.txt"
    path.write_bytes("Der Weg führt über Brücken.\n\nSchöne Grüße aus Köln.".encode(encoding))
    note = "'weg.txt' was read as Windows-1252."
    printed = command("rank", "bridges", str(path))
    assert "Der Weg führt über Brücken." in printed.out
    assert (f"Note: {note}" in printed.out) is said
    assert (note in command("rank", "bridges", str(path), "--json").out) is said
