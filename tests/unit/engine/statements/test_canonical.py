"""The canonical form of texts: pairs that say the same, and look-alikes that do not."""

from __future__ import annotations

import time

import pytest

from memweld.engine.statements.canonical import canonical_form, is_tied_to_its_day

SAME = """
I like tea | I like tea.
I like tea | I do like tea!
I like tea | i like tea
I like tea |   I   like tea…
I like tea | By the way, I like tea
I like tea | Oh, by the way: I like tea!
I like tea | Yes, I like tea
I like tea | Hi! I like tea
I like tea | Remember that I like tea
I like tea | Please remember: I like tea.
I like tea | - I like tea
I like tea | I like tea, thanks!
I like tea | I like tea. Thank you.
I like tea? | I like tea?!
I don't like tea | I do not like tea
I don’t like tea | I don't like tea.
I dont like tea | I don't like tea
I can't swim | I cannot swim.
I can't swim | I can not swim
I won't fly | I will not fly
I'm a vegetarian | I am a vegetarian
I’m a vegetarian | I'm a vegetarian
I've moved to Lisbon | I have moved to Lisbon
We're moving to Lisbon in May | We are moving to Lisbon in May.
They'll visit me | They will visit me
My favourite colour is blue | My favorite color is blue
I have a grey cat | I have a gray cat.
I eat fish, rice, and beans | I eat fish, rice and beans
My brother isn't a teacher | My brother is not a teacher
The user likes tea | User likes tea.
The user's dog is Rex | User's dog is Rex
I was born in 1990 | I was born in 1990.
I pay 50 % | I pay 50 %.
I get up at 6:30 | I get up at 6:30.
He said "no" | He said “no”.
I work 9–5 | I work 9-5
Ich mag Tee | Ich mag Tee.
Ich mag Tee | Übrigens, ich mag Tee!
Ich mag Tee | Bitte merken: Ich mag Tee
I like tea | Thanks, I like tea
Ich mag Tee | Bitte merk dir: Ich mag Tee
Ich mag Tee | Danke! Ich mag Tee.
Me gusta el té | Recuerda que me gusta el té
Vivo en Lisboa | No olvides que vivo en Lisboa
J'aime le thé | N'oublie pas que j'aime le thé
Gosto de chá | Lembra-te que gosto de chá
Abito a Roma | Ricordati che abito a Roma
Ich mag keinen Tee | ich mag keinen Tee.
Ich wohne in Köln, aber ich arbeite in Bonn | Ich wohne in Köln aber ich arbeite in Bonn.
Me gusta el té | ¡Me gusta el té!
Me gusta el té | Por cierto, me gusta el té.
Yo vivo en Lisboa | Vivo en Lisboa
Yo no como carne | No como carne.
No me llamo Ana | Yo no me llamo Ana
J'aime le thé | J’aime le thé.
J'aime le thé | Au fait, j'aime le thé !
Je n'aime pas le thé | Je n’aime pas le thé.
Eu moro em Lisboa | Moro em Lisboa.
Eu não como carne | Não como carne
Aliás, gosto de chá | Gosto de chá.
Io abito a Roma | Abito a Roma
Ik hou van thee | Trouwens, ik hou van thee.
我喜欢茶 | 我喜欢茶。
我住在上海,工作在北京 | 我住在上海，工作在北京。
お茶が好きです | お茶が好きです。
저는 차를 좋아해요 | 저는 차를 좋아해요.
Я люблю чай | я люблю чай.
أحب الشاي | أحب الشاي.
"""

OTHER = """
I like tea | I like green tea
I like tea | I don't like tea
I like tea | I do not like tea
I like tea | I liked tea
I like tea | I did like tea
I like tea | I would like tea
I like tea | My brother likes tea
I like tea | You like tea
I like tea | We like tea
I like tea | I really like tea
I like tea | I like teas
I like tea | I like tea?
I like tea | Do I like tea
I like tea | No, I like tea
I like tea | No thanks, I like tea
Me gusta el té | Recuerda me gusta el té
El té es bueno | Recuerda que el té es bueno
Ana aime le thé | N'oublie pas que Ana aime le thé
Me gusta el té | Ana recuerda que me gusta el té
I like tea | I like the tea
I like tea | "I like tea"
I like tea | I like tea 👎
I don't like tea | I don't really like tea
I am booked on flight 12 | I am booked on flight 13
I am booked on flight 12 | I am booked on flight 1.2
I fly from Porto to Lisbon | I fly from Lisbon to Porto
I fly from Porto | I fly to Porto
I fly to Porto on Monday | I fly to Porto on Tuesday
I fly with Ana | I fly without Ana
I have little time | I have a little time
I have few friends | I have a few friends
I am a nurse | I was a nurse
I work at Acme | I worked at Acme
I live in Porto | I lived in Porto
I live in Porto | I moved to Porto
I live in Porto | I live in Oporto
I live in Porto | I live with Porto
I live in Paris, Texas | I live in Paris, France
I work for the US team | I work for the us team
I love Turkey | I love turkey
I am Polish | I am polish
US food is good | Us food is good
My sister is Ana | My sisters are Ana
My sister likes tea | My sister's friend likes tea
My favourite player is Messi | My brother's favourite player is Messi
My mother is 60 | My father is 60
His car is red | Her car is red
He called me | I called him
Ana loves Bo | Bo loves Ana
I earn $50 | I earn €50
I earn 50 $ | I earn 500 $
It is 5 degrees | It is -5 degrees
The rate is 3.5 | The rate is 35
I write C | I write C++
I write C# | I write C
I can swim | I can't swim
I could swim | I can swim
I must go | I need to go
I might move to Faro | I will move to Faro
If I move I sell the car | I move I sell the car
I never smoke | I ever smoke
I only eat fish | I eat fish
I also eat fish | I eat fish
I love my parents, Ana and Bo | I love my parents Ana and Bo
I like tea. Coffee is bad | I like tea, coffee is bad
I want to marry Ana | I wanted to marry Ana
She's married | She has married
I'd eaten | I would eaten
My dog is called Rex | My cat is called Rex
The meeting is at 10:30 | The meeting is at 10:03
The meeting is before lunch | The meeting is after lunch
I turned left | I turned right
Call me Ana | Call Ana
Hey Jude is my song | Jude is my song
Remember that boy likes tea | Boy likes tea
My password is hunter2 | My password is hunter2!
My password is swordfish | My password is swordfish.
My pin is 1234 | My pin is 1234.
My user name is ana1 | My user name is ana1!
I like Mr Grey | I like Mr Gray
Im Juni bin ich da | I'm Juni bin ich da
Ich mag Tee | Ich mag keinen Tee
Ich mag Tee | Ich mochte Tee
Ich mag Tee | Ich möchte Tee
Ich mag Tee | Mein Bruder mag Tee
Ich mag Tee nicht | Ich mag Tee
Ich mag Sie | Ich mag sie
Ich fahre schon | Ich fahre schön
Ich trinke in Maßen | Ich trinke in Massen
Ich fahre mit dem Zug | Ich fahre ohne den Zug
Der See ist tief | Die See ist tief
Ich wohne bei Köln | Ich wohne in Köln
Me gusta el té | No me gusta el té
Me gusta el té | Te gusta el té
Me gusta el té | Me gustaba el té
Mi papá tiene 60 años | Mi papa tiene 60 años
Tengo 30 años | Tengo 30 anos
Yo vivía en Lisboa | Vivía en Lisboa
El cura llegó | La cura llegó
Vivo en Lisboa | Vive en Lisboa
J'aime le thé | Je n'aime pas le thé
J'aime le thé | J'aimais le thé
Il aime le thé | Elle aime le thé
J'ai acheté le livre | J'ai acheté la livre
Mon frère aime le thé | Ma sœur aime le thé
Gosto de chá | Não gosto de chá
A minha avó gosta de chá | O meu avô gosta de chá
Minha avó mora aqui | Minha avô mora aqui
Moro em Lisboa | Morava em Lisboa
Eu morava em Lisboa | Morava em Lisboa
Io sono a casa | Sono a casa
Ik hou van thee | Ik hou niet van thee
我喜欢茶 | 我不喜欢茶
我喜欢茶 | 他喜欢茶
我喜欢茶 | 我喜欢茶吗？
我有十二本书 | 我有十三本书
お茶が好きです | お茶が好きではありません
お茶が好きです | お茶が好きでした
Я люблю чай | Я не люблю чай
I live in 1. OG | I live in 2. OG
May | may
"""


def pairs(table: str) -> list[tuple[str, str]]:
    """The rows of a table: two texts each."""
    rows = (row.split(" | ") for row in table.strip().splitlines())
    return [(first, second) for first, second in rows]


@pytest.mark.parametrize(("first", "second"), pairs(SAME))
def test_texts_that_say_the_same(first: str, second: str) -> None:
    assert canonical_form(first) is not None
    assert canonical_form(first) == canonical_form(second)


@pytest.mark.parametrize(("first", "second"), pairs(OTHER))
def test_look_alikes_are_told_apart(first: str, second: str) -> None:
    assert canonical_form(first) is None or canonical_form(first) != canonical_form(second)


def test_some_texts_equal_no_other() -> None:
    """Lists, long texts, single words and secrets are left alone, whatever they consist of."""
    for text in ("", "  ", "!", "¡", "Tea", "- ", "tea\ncoffee", "I like tea " * 50, "The code is blue"):
        assert canonical_form(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "I have an exam tomorrow",
        "I fly on Friday.",
        "I'm tired now!",
        "I moved two weeks ago",
        "I visit Ana in May",
        "Ich habe morgen eine Prüfung",
        "Nächsten Monat ziehe ich um",
        "Hoy tengo un examen",
        "J'ai un examen aujourd'hui",
        "Tenho aula na segunda-feira",
        "Domani ho un esame",
        "Morgen heb ik een examen",
        "I visit Ana this summer",
        "I spend Christmas in Rome",
        "My train leaves at 5pm",
        "The meeting is on the 3rd",
        "Im Winter fahre ich nach Wien",
        "Este verano voy a Roma",
        "我明天有考试",
        "Завтра у меня экзамен",
    ],
)
def test_texts_that_mean_something_else_on_another_day(text: str) -> None:
    assert is_tied_to_its_day(text)


@pytest.mark.parametrize(
    "text",
    [
        "I like tea",
        "I live in Porto",
        "I have 2 cats",
        "Ich mag keinen Tee",
        "Vivo en Lisboa",
        "J'aime le thé",
        "Moro em Lisboa",
        "Ik hou van thee",
    ],
)
def test_texts_that_mean_the_same_on_each_day(text: str) -> None:
    assert not is_tied_to_its_day(text)


def test_the_form_of_a_form_is_itself() -> None:
    for text in {text for pair in pairs(SAME) for text in pair}:
        form = canonical_form(text)
        assert form is not None
        assert canonical_form(form) == form


@pytest.mark.parametrize("pump", ["a ", "hi, ", "by the way ", "!", "i do ", "'", "¡"])
def test_a_long_text_takes_linear_time(pump: str) -> None:
    def seconds(length: int) -> float:
        text = (pump * length)[:length]
        started_at = time.process_time()
        for _ in range(20):
            canonical_form(text)
        return time.process_time() - started_at

    seconds(100)
    # The least of some runs, because a busy machine delays single ones.
    least, most = (min(seconds(length) for _ in range(3)) for length in (100, 400))
    assert most < 8 * least + 0.01
