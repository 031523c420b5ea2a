"""Sentences of languages without spaces or with suffixes: Chinese, Japanese, Korean, Hindi, by what they contain.

Each function takes the clauses of one sentence, folded, and says whether one of them states something.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["SCRIPTS", "script_of"]

_MIN_CHARACTERS = 3


def _without(clause: str, beginnings: Sequence[str]) -> str:
    """The clause without small talk at its beginning."""
    clause = clause.strip()
    while found := next((each for each in beginnings if clause.startswith(each)), None):
        clause = clause[len(found) :].strip()
    return clause


def _has(clause: str, parts: Sequence[str]) -> bool:
    return any(part in clause for part in parts)


# Chinese

_ZH_SMALL_TALK = tuple(
    """你好吗 你好啊 你好 您好 大家好 嗨 哈喽 早上好 早安 下午好 晚上好 晚安 谢谢你 谢谢您 谢谢 多谢 感谢 好的 好吧
    好啊 好 嗯嗯 嗯 哦 噢 啊 呃 是的 是啊 是 对的 对了 对啊 对不起 没错 不是 不用了 不用 可以的 知道了 我知道 明白了
    明白 懂了 了解了 了解 哈哈 呵呵 嘿嘿 再见 拜拜 抱歉 不好意思 没关系 没问题 没事 不客气 辛苦了 太好了 太棒了 不错
    请问一下 请问 那么 那 所以 顺便说一下 顺便问一下 另外 继续 随便 不知道 我不知道 ok okay hi hello lol""".split()
)
_ZH_QUESTIONS = tuple(
    """什么 甚么 什麼 怎么 怎麼 怎样 怎樣 如何 为何 谁 誰 哪 几点 几个 几岁 几号 几月 几天 多少 多大 多久 多远 多长
    多高 是不是 有没有 能不能 可不可以 会不会 要不要 好不好 对不对 行不行 何时 嘛""".split()
)
_ZH_ANY = (
    "什么都",
    "什么也",
    "什麼都",
    "谁都",
    "谁也",
    "哪里都",
    "哪儿都",
    "怎么都",
    "没什么",
    "什么的",
    "多少有",
    "怎么也",
)
_ZH_ENDINGS = ("吗", "嗎", "呢", "么")
_ZH_COMMANDS = tuple(
    """请 麻烦 帮我 帮忙 帮 给我 告诉我 讲 说说 说一 写 翻译 解释 总结 推荐 列出 列一 查 找 搜 画 生成 让我 介绍
    教我 教 提醒我 比较 计算 算 检查 修改 改写 润色 打开 播放 预订 订 你能 你可以 能不能 能否 可以帮 可以给 我想知道
    我想问 想问 我想请 我需要帮 我有个问题 我有一个问题 来一 来个 唱 设计 创建 做一 做个 换 重复 分析 描述 定义 给
    把""".split()
)
_ZH_RULES = tuple(
    """记住 记得 记下 别忘 不要忘 叫我 称呼我 以后 今后 从现在起 从现在开始 总是 始终 永远 一直用 每次 不要 别 请勿
    用中文 用英文 用英语 用法语 尽量 避免 不许""".split()
)
_ZH_IDLE = ("别担心", "不要担心", "别客气", "不要紧", "别急", "别管", "不要了")
_ZH_OWN = ("我", "咱", "他", "她", "本人")


def _chinese(clauses: Sequence[str], is_question: bool) -> bool:
    last = len(clauses) - 1
    for place, each in enumerate(clauses):
        clause = _without(each, _ZH_SMALL_TALK)
        if len(clause) < _MIN_CHARACTERS or (is_question and place == last):
            continue
        asks = clause.endswith(_ZH_ENDINGS) or (_has(clause, _ZH_QUESTIONS) and not _has(clause, _ZH_ANY))
        if asks or _has(clause, _ZH_IDLE):
            continue
        request = clause.removeprefix("请").removeprefix("你能").removeprefix("可以")
        if request.startswith(_ZH_RULES) or (clause.startswith(_ZH_COMMANDS) and _has(clause, _ZH_RULES[:-2])):
            return True
        if clause.startswith(_ZH_COMMANDS):
            continue
        if not is_question or _has(clause[:8], _ZH_OWN):
            return True
    return False


# Japanese

_JA_SMALL_TALK = tuple(
    """こんにちは こんばんは おはようございます おはよう ありがとうございました ありがとうございます ありがとう
    どうもありがとう どうも はい いいえ うん ええと ええ そうですね そうです そうか そう なるほど 了解です
    了解しました 了解 わかりました 分かりました わかった 分かった すみませんが すみません すいません ごめんなさい
    ごめん おやすみなさい おやすみ さようなら じゃあね じゃあ では またね また明日 お疲れ様でした お疲れ様です
    お疲れ様 よろしくお願いします よろしく はじめまして もしもし えっと あの まあ ねえ やあ 大丈夫です 大丈夫
    いいですね いいね すごい 最高 笑 草 www ok ところで ちなみに お願いします お願い 気にしないで 心配しないで
    もちろん 確かに 続けて 次 なんでもない hello hi lol""".split()
)
_JA_QUESTIONS = tuple(
    """何 なに なん どこ だれ 誰 いつ なぜ どうして どうやって どうすれば どんな どの どれ どちら どっち いくつ
    いくら どう""".split()
)
_JA_ANY = tuple(
    """何でも なんでも 何も なにも 誰も だれも どこも どこでも いつも いつでも いつか どうも どうぞ どれも どちらも
    何か なにか どうしても なんとか""".split()
)
_JA_ENDINGS = tuple("か かな かね だっけ でしたっけ っけ かしら ですかね の？ ましょうか".split())
_JA_REQUESTS = tuple(
    """ください 下さい くれ くれる くれます くれません もらえます もらえません もらえる いただけます いただけません
    お願いします お願い て で なさい ほしい 欲しい たいです てほしいです 教えて""".split()
)
_JA_WISHES = ("知りたい", "聞きたい", "教えて", "質問があります", "質問がある", "助けて", "手伝って")
_JA_RULES = tuple(
    "覚え 忘れないで 忘れずに 呼んで 呼ばないで いつも 必ず 今後 これから 常に 絶対 毎回 ないで メモして 以後".split()
)
_JA_STATING = ("ので", "から", "けど", "けれど", "が", "し", "ですが", "のに")


def _japanese(clauses: Sequence[str], is_question: bool) -> bool:
    last = len(clauses) - 1
    for place, each in enumerate(clauses):
        clause = _without(each, _JA_SMALL_TALK)
        if len(clause) < _MIN_CHARACTERS or (is_question and place == last):
            continue
        stripped = clause
        for word in _JA_ANY:
            stripped = stripped.replace(word, "")
        if stripped.endswith(_JA_ENDINGS) or _asks_in_japanese(stripped):
            continue
        if place < last and clause.endswith(_JA_STATING):
            return True
        if _has(clause, _JA_RULES) and stripped.endswith(_JA_REQUESTS):
            return True
        if stripped.endswith(_JA_REQUESTS) or _has(stripped, _JA_WISHES):
            continue
        if not is_question:
            return True
    return False


def _asks_in_japanese(clause: str) -> bool:
    """Whether a question word stands near the end, or nothing but a polite ending follows it."""
    return _has(clause[-8:], _JA_QUESTIONS) and not clause.endswith(_JA_STATING)


# Korean

_KO_SMALL_TALK = tuple(
    """안녕하세요 안녕 감사합니다 고마워요 고마워 고맙습니다 네 예 아니요 아니 응 그래 좋아요 좋아 알겠습니다
    알겠어요 알았어 미안해요 미안 죄송합니다 괜찮아요 ㅋㅋ ㅎㅎ""".split()
)
_KO_QUESTIONS = tuple("어디 뭐 뭘 무엇 무슨 누구 누가 언제 왜 어떻게 몇 얼마 어느 어떤".split())
_KO_ENDINGS = ("까", "나요", "가요", "니", "냐", "을래")
_KO_REQUESTS = tuple("주세요 줘 줘요 주십시오 해라 하세요 알려 말해".split())
_KO_RULES = tuple("기억해 잊지 불러 항상 절대 앞으로 지 마 하지 말 쓰지".split())


def _korean(clauses: Sequence[str], is_question: bool) -> bool:
    for place, each in enumerate(clauses):
        clause = _without(each, _KO_SMALL_TALK)
        if len(clause) < _MIN_CHARACTERS or (is_question and place == len(clauses) - 1):
            continue
        if clause.endswith(_KO_ENDINGS) or _has(clause, _KO_QUESTIONS):
            continue
        if not clause.endswith(_KO_REQUESTS) or _has(clause, _KO_RULES):
            return True
    return False


# Hindi

_HI_SMALL_TALK = tuple(
    """नमस्ते नमस्कार धन्यवाद शुक्रिया बहुत हाँ हां नहीं जी ठीक है ठीक अच्छा सही माफ़ करना माफ कीजिए अलविदा फिर
    मिलेंगे""".split()
)
_HI_QUESTIONS = tuple("क्या कौन कहाँ कहां कब क्यों कैसे कैसा कैसी कितना कितने कितनी किस किसका किसकी".split())
_HI_REQUESTS = tuple("बताओ बताइए बताएं बताएँ लिखो लिखिए सुनाओ सुनाइए दो दीजिए करो कीजिए समझाओ समझाइए".split())
_HI_RULES = tuple("याद हमेशा कभी भूल बुलाओ बुलाइए मत".split())


def _hindi(clauses: Sequence[str], is_question: bool) -> bool:
    for place, each in enumerate(clauses):
        words = _without(each, _HI_SMALL_TALK).split()
        if len(words) < 2 or (is_question and place == len(clauses) - 1):
            continue
        if any(word in _HI_QUESTIONS for word in words):
            continue
        if words[-1] not in _HI_REQUESTS or any(word in _HI_RULES for word in words):
            return True
    return False


SCRIPTS: dict[str, Callable[[Sequence[str], bool], bool]] = {
    "chinese": _chinese,
    "japanese": _japanese,
    "korean": _korean,
    "hindi": _hindi,
}

_RANGES = (
    ("japanese", 0x3040, 0x30FF),
    ("chinese", 0x3400, 0x9FFF),
    ("korean", 0xAC00, 0xD7AF),
    ("hindi", 0x0900, 0x097F),
    ("arabic", 0x0600, 0x06FF),
    ("russian", 0x0400, 0x04FF),
    ("greek", 0x0370, 0x03FF),
)


def script_of(text: str) -> str:
    """The script of most letters of a folded text, by a language that it stands for; ``latin`` where there is no other.

    A character of Chinese, Japanese or Korean counts as three letters. Text with kana is Japanese.
    """
    if text.isascii():
        return "latin"
    counts = dict.fromkeys((name for name, _, _ in _RANGES), 0)
    latin = 0
    for character in text:
        code = ord(character)
        if code < 0x0370:
            latin += character.isalpha()
            continue
        for name, first, last in _RANGES:
            if first <= code <= last:
                counts[name] += 1
                break
    if counts["japanese"]:
        counts["japanese"] += counts.pop("chinese")
    script = max(counts, key=counts.__getitem__)
    weight = 3 if script in ("japanese", "chinese", "korean") else 1
    return script if counts[script] * weight > latin else "latin"
