"""The patterns of ``redact="secrets"``: what they take out, and what looks like it and stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memweld.engine.redaction.numbers import is_card_number
from memweld.engine.redaction.secrets import redact_field, redact_secrets
from memweld.placeholders import redacted_in

# No scanner of this repository shall take the examples for real keys: they are put together here.
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" * 3
A20, A24, A32, A36, A40 = (LETTERS[50 : 50 + count] for count in (20, 24, 32, 36, 40))
HEX32 = "0123456789abcdef" * 2
JWT = f"eyJ{LETTERS[:17]}.eyJ{LETTERS[30:60]}.{A40}_-"
PEM = "-----BEGIN {0}PRIVATE KEY-----\nMIIEvQ{1}\nAb+/==\n-----END {0}PRIVATE KEY-----"

TAKEN_OUT = [
    # keys of services
    ("API key", f"sk-{A32}"),
    ("API key", f"sk-proj-{A40}_{A20}"),
    ("API key", f"sk-ant-api03-{A40}-{A20}"),
    ("API key", f"sk-or-v1-{HEX32}{HEX32}"),
    ("API key", f"sk_live_{A24}"),
    ("API key", f"rk_test_{A24}"),
    ("API key", f"whsec_{A32}"),
    ("API key", f"ghp_{A36}"),
    ("API key", f"gho_{A36}"),
    ("API key", f"github_pat_{A20}_{A40}"),
    ("API key", f"glpat-{A20}"),
    ("API key", f"xoxb-123456789012-{A24}"),
    ("API key", f"xapp-1-A0123-{A24}"),
    ("API key", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("API key", "ASIA" + "IOSFODNN7EXAMPLE"),
    ("API key", f"AIza{LETTERS[20:55]}"),
    ("API key", f"ya29.{A40}"),
    ("API key", f"GOCSPX-{LETTERS[20:48]}"),
    ("API key", f"npm_{A36}"),
    ("API key", f"pypi-AgEIcHlwaS5vcmc{A40}"),
    ("API key", f"hf_{A32}"),
    ("API key", f"SG.{A20}.{A40}"),
    ("API key", f"SK{HEX32}"),
    ("API key", f"123456789:{LETTERS[20:55]}"),
    ("API key", f"dop_v1_{HEX32}{HEX32}"),
    ("API key", f"gsk_{A40}"),
    ("API key", f"xai-{A40}"),
    ("API key", f"tvly-dev-{A32}"),
    ("API key", f"r8_{A36}"),
    ("API key", f"ntn_{A40}"),
    ("API key", f"lin_api_{A36}"),
    ("API key", f"dapi{HEX32}"),
    ("API key", f"hvs.{A24}"),
    ("API key", f"shpat_{HEX32}"),
    ("API key", f"hooks.slack.com/services/T0123/B0123/{A24}"),
    # tokens
    ("token", JWT),
    ("token", f"eyJ{A20}.{A20}.{A20}.{A20}.{A20}"),
    # private keys
    ("private key", PEM.format("", A40)),
    ("private key", PEM.format("RSA ", A40)),
    ("private key", PEM.format("OPENSSH ", A40)),
    ("private key", PEM.format("EC ", A40)),
    # card numbers
    ("card number", "4111 1111 1111 1111"),
    ("card number", "4111111111111111"),
    ("card number", "4111-1111-1111-1111"),
    ("card number", "4111.1111.1111.1111"),
    ("card number", "4111\u00a01111\u00a01111\u00a01111"),
    ("card number", "5555 5555 5555 4444"),
    ("card number", "2223003122003222"),
    ("card number", "3782 822463 10005"),
    ("card number", "371449635398431"),
    ("card number", "6011 1111 1111 1117"),
    ("card number", "3056 930902 5904"),
    ("card number", "38520000023237"),
    ("card number", "3530111333300000"),
    ("card number", "6212345678901265"),
    ("card number", "4222222222222"),
    # accounts
    ("IBAN", "DE89 3704 0044 0532 0130 00"),
    ("IBAN", "DE89370400440532013000"),
    ("IBAN", "GB29 NWBK 6016 1331 9268 19"),
    ("IBAN", "FR14 2004 1010 0505 0001 3M02 606"),
    ("IBAN", "ES9121000418450200051332"),
    ("IBAN", "PT50 0002 0123 1234 5678 9015 4"),
    ("IBAN", "nl91abna0417164300"),
    ("IBAN", "NO9386011117947"),
]


@pytest.mark.parametrize(("name", "secret"), TAKEN_OUT, ids=lambda each: each[:24])
@pytest.mark.parametrize("frame", ["{}", "It is {}.", "({}), as I said", '{{"data": "{}"}}', "my {}\nand more"])
def test_secret_of_known_form_is_taken_out(name: str, secret: str, frame: str) -> None:
    assert redact_secrets(frame.format(secret)) == frame.format(f"[redacted: {name}]")


SAID = [
    # English
    ("My password is hunter2", "hunter2"),
    ("my wifi password is hunter2!", "hunter2!"),
    ("The password for Netflix is Tr0ub4dor&3, use it.", "Tr0ub4dor&3"),
    ("The password is now hunter2.", "hunter2"),
    ("my password is swordfish", "swordfish"),
    ("My password is correct horse battery staple.", "correct horse battery staple"),
    ('The passphrase is "open sesame", okay?', "open sesame"),
    ("Password: hunter2", "hunter2"),
    ("password=hunter2", "hunter2"),
    ("DB_PASSWORD=s3cr3t-pass", "s3cr3t-pass"),
    ("export PGPASSWORD='s3cr3t pass'", "s3cr3t pass"),
    ("user: ana, passwd: hunter2", "hunter2"),
    ("**Password:** hunter2", "hunter2"),
    ("password is `hunter2`", "hunter2"),
    ("I changed my password to hunter2", "hunter2"),
    ("My password was hunter2 until May", "hunter2"),
    ("My password for the site that is old is hunter2", "hunter2"),
    ("the server's password is: Xk9#mm", "Xk9#mm"),
    ("password -> hunter2", "hunter2"),
    ("Server=db;User Id=ana;Password=hunter2;Timeout=5", "hunter2"),
    ("The passcode is 918273", "918273"),
    ("my pass is hunter22", "hunter22"),
    ("my password's hunter2.", "hunter2"),
    ("pw: geheim123", "geheim123"),
    ("I changed my password to foo1", "foo1"),
    ("I changed my Netflix password to sunshine.", "sunshine"),
    ("my password is sunshine and my cat is Tom", "sunshine"),
    ("the new password will be hunter22", "hunter22"),
    ("user: ana, pass: hunter22", "hunter22"),
    ("username ana password hunter22", "hunter22"),
    ("deploy --password hunter22", "hunter22"),
    ("<password>hunter2</password>", "hunter2"),
    ('password := "hunter2"', "hunter2"),
    ("hunter22 is my wifi password.", "hunter22"),
    ("Tr0ub4dor&3 is the password for Netflix", "Tr0ub4dor&3"),
    ("curl -sS -u ana:hunter2 https://example.com", "hunter2"),
    ("curl https://example.com --user 'ana:two words'", "two words"),
    # German
    ("hunter22 ist mein Passwort", "hunter22"),
    ("mein pw ist hunter22", "hunter22"),
    ("mein Kennwort heißt Blume77", "Blume77"),
    ("Passwort hunter2", "hunter2"),
    ("Mein Passwort ist hunter2.", "hunter2"),
    ("Das WLAN-Passwort lautet Sonnenschein", "Sonnenschein"),
    ("Passwort: Sommer2024!", "Sommer2024!"),
    ("Das Kennwort für den Server ist „blaue Katze“", "blaue Katze"),
    ("Ich habe mein Passwort auf hunter2 geändert", "hunter2"),
    # Spanish
    ("Mi contraseña es hunter2", "hunter2"),
    ("La contraseña del wifi es girasol", "girasol"),
    ("contraseña: hunter2", "hunter2"),
    ("mi clave es gira99sol", "gira99sol"),
    ("mi contrasena es hunter22", "hunter22"),
    # French
    ("mon mdp, c'est hunter22", "hunter22"),
    ("Mon mot de passe est hunter2", "hunter2"),
    ("Le mot de passe du wifi est « tournesol »", "tournesol"),
    ("mot de passe : hunter2", "hunter2"),
    # Portuguese
    ("A minha senha é hunter2", "hunter2"),
    ("A palavra-passe é girassol", "girassol"),
    ("minha senha e hunter22", "hunter22"),
    # Italian
    ("La mia password è girasole", "girasole"),
    ("La password del wifi è hunter2", "hunter2"),
    # Dutch
    ("Mijn wachtwoord is zonnebloem", "zonnebloem"),
    ("Het wachtwoord van de wifi is hunter2", "hunter2"),
    # URLs
    ("postgresql://ana:s3cr3t@db.example.com:5432/app", "s3cr3t"),
    ("mongodb+srv://root:p@ss@cluster.example.net", "p@ss"),
    ("redis://:hunter2@localhost:6379/0", "hunter2"),
    ("https://ana:hunter2@example.com/path", "hunter2"),
]


@pytest.mark.parametrize(("text", "secret"), SAID, ids=lambda each: each[:32])
def test_password_is_taken_out(text: str, secret: str) -> None:
    assert redact_secrets(text) == text.replace(secret, "[redacted: password]")


KEYS_AND_CODES = [
    ("Authorization: Bearer abcdef1234567890abcdef", "abcdef1234567890abcdef", "token"),
    ("Authorization: Basic YW5hOmh1bnRlcjI=", "YW5hOmh1bnRlcjI=", "token"),
    ("Authorization: token 0123456789abcdef0123", "0123456789abcdef0123", "token"),
    ("My API key for OpenWeather is 0f8a7b6c5d4e", "0f8a7b6c5d4e", "secret"),
    ("Mein API-Schlüssel lautet 0f8a7b6c5d4e", "0f8a7b6c5d4e", "secret"),
    ("ma clé API est 0f8a7b6c5d4e", "0f8a7b6c5d4e", "secret"),
    ("el código de seguridad es 123", "123", "security code"),
    ("4111  1111  1111  1111", "4111  1111  1111  1111", "card number"),
    (f"aws_secret_access_key = {A20}/{A20}", f"{A20}/{A20}", "secret"),
    (f"my AWS secret {A20}/{LETTERS[31:50]}", f"{A20}/{LETTERS[31:50]}", "secret"),
    ("API_KEY=0f8a7b6c5d4e", "0f8a7b6c5d4e", "secret"),
    ("my api key is 0f8a7b6c5d4e", "0f8a7b6c5d4e", "secret"),
    ("client_secret: 'abc123def456'", "abc123def456", "secret"),
    ("https://example.com/a?access_token=abc123def456&b=1", "abc123def456", "secret"),
    ("https://example.com/a?x=1&sig=abc123def456", "abc123def456", "secret"),
    ("AccountName=ana;AccountKey=abc123def456/+==;", "abc123def456/+==", "secret"),
    ("My PIN is 4711", "4711", "security code"),
    ("PIN: 471108", "471108", "security code"),
    ("Die PIN meiner Karte lautet 4711.", "4711", "security code"),
    ("the CVV is 123", "123", "security code"),
    ("4111 1111 1111 1111, CVC 123", "123", "security code"),
]


@pytest.mark.parametrize(("text", "secret", "name"), KEYS_AND_CODES, ids=lambda each: each[:24])
def test_secret_with_a_name_is_taken_out(text: str, secret: str, name: str) -> None:
    assert redact_secrets(text).endswith(text[text.index(secret) :].replace(secret, f"[redacted: {name}]"))


STAYS = [
    # numbers
    "Order 4111111111111112 has shipped",  # a wrong check digit
    "Order number 1234567890123456",
    "Invoice 9999999999999995",  # no issuer
    "Tracking 1Z999AA10123456784",
    "Tracking 00340434161094042557",
    "ISBN 978-3-16-148410-0",
    "ISBN 9783161484100",
    "EAN 4006381333931",
    "IMEI 490154203237518",
    "Call +49 170 1234567 or 0049 30 12345678",
    "Call +1 (555) 123-4567",
    "my number is 0171 23456789",
    "550e8400-e29b-41d4-a716-446655440000",
    "41111111-1111-4111-8111-111111111111",
    "e83c5163316f89bfbde7d9ab23ca2e25604af290",  # a git hash
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "1732789200000000000 nanoseconds",
    "1732789200123456",
    "2024-05-01T12:00:00.123456Z",
    "0.4111111111111111",
    "3.14159265358979323846264338327950288",
    "/orders/4111111111111111/items",
    "file_4111111111111111.png",
    "part-no 4111111111111111-a",
    "0000 0000 0000 0000",
    "1111 1111 1111 1111",
    "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
    "coordinates 41.1579438, -8.629105299999999",
    "10 20 30 40 50 60 70 80 90 100",
    "192.168.0.1 and 10.0.0.255",
    "my tax id is 123456789012",
    "DE89 3704 0044 0532 0130 01",  # a wrong check digit
    "GB29 is the name of a road",
    "AB12 3456 7890 1234 5678",
    "VAT DE123456789",
    "01K9X3T5M2V7QZ8R4N6W0YBCDE",
    # words like keys
    "sk-learn is a short name of scikit-learn",
    "sk-estimator-with-a-long-hyphenated-name",
    "the ghp_ prefix marks a token of GitHub",
    "AKIA is how keys of AWS begin",
    "npm_config_registry=https://registry.example.com",
    "hf_hub_download(repo_id, filename)",
    "secret_santa_gift_exchange_of_the_whole_family_in_december",
    "the bearer of good news is here",
    "Bearer authentication is on",
    "eyJhbGciOi is how a token begins",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ana@host",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "call_abcDEF1234567890abcDEF12",
    "toolu_01A09q90qw90lq917835lq9",
    "chatcmpl-9aB8cD7eF6gH5iJ4kL3mN2oP1",
    "msg_01XFDUDYJgAACzvnptvVoYEL",
    # what is said of passwords
    "My password is required to log in",
    "My pass is at 10",
    "my pass is 2nd class",
    "La clave es la paciencia",
    "La clave es paciencia",
    "Mein Passwort heißt auf Englisch password",
    "Das Passwort habe ich vergessen",
    "The password is required.",
    "Password: required",
    "The password is wrong",
    "the password is case sensitive",
    "My password is the name of my first dog",
    "The password is stored in KeePass",
    "The password is at least 12 characters long",
    "The password is 8 characters long",
    "I never write my password down",
    "I forgot my password",
    "My password was hacked",
    "I gave my password to Maria",
    "My password manager is Bitwarden",
    "I like passwords that are long",
    "password: str",
    "password: string",
    "password = getpass.getpass()",
    "password=os.environ['PASSWORD']",
    "password: <your password>",
    "password: ********",
    "password: ${DB_PASSWORD}",
    "password=None",
    "Das Passwort ist abgelaufen.",
    "Das Passwort ist zu kurz",
    "Ich habe mein Passwort vergessen",
    "La contraseña es incorrecta",
    "Le mot de passe est obligatoire",
    "A senha é fraca",
    "La password è scaduta",
    "Het wachtwoord is verlopen",
    "Our password policy is strict about reuse",
    "postgresql://ana@db.example.com:5432/app",
    "https://example.com:8080/a@b",
    "http://[::1]:8710/mcp",
    "mail ana@example.com about it: today",
    "my password is stronger than yours",
    "The password is longer than 12 characters",
    "The password is rotated every month",
    "I set my password to expire.",
    "I changed my password to something stronger",
    "Reset your password to continue.",
    "Set a password to continue",
    "https://example.com/reset-password?email=a@b.c",
    "password_min_length = 12",
    "PASSWORD_RESET_TIMEOUT=3600",
    "Password last changed: 2024-05-01",
    "password: see 1Password",
    "Password: n/a",
    "MDP: Markov decision process",
    "Le mot de passe est chez Marie",
    "my boarding pass: LH1234",
    "password OAuth2 grant",
    "def login(password=None): pass",
    "Change your password at https://example.com/reset",
    "I forgot my password for https://example.com",
    "I lost my password at 10:30 yesterday",
    "1Password is my password manager",
    "Bitwarden is my password",
    "Version2 is the password form of the site",
    "docker run -u 1000:1000 image",
    "curl -u ana:$PASSWORD https://example.com",
    "if user.password != old: raise",
    "password = settings.DB_PASSWORD",
    "if password == confirm: return",
    # keys and codes
    "api_key = os.environ['OPENAI_API_KEY']",
    "the API key is missing",
    "api_key: str | None = None",
    "https://example.com/?key=value&token=abc",
    "completion_tokens: 1234567890",
    "I live in the pin code area",
    "pin it to the wall at 1200 mm",
    "We pinned version 1.2.3",
    "The bowling pin is 38 cm tall",
    "PIN: see the letter",
    "GPIO pin 1234",
    "AWS CodeCommit e83c5163316f89bfbde7d9ab23ca2e25604af290",
    "I was born on 1985-10-26 and moved on 26/10/2015",
    "My flight LH1234 leaves at 17:45 from gate B42",
    "The meeting id is 812 3456 7890",
    "bitcoin:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
]


@pytest.mark.parametrize("text", STAYS, ids=lambda each: each[:40])
def test_look_alike_stays(text: str) -> None:
    assert redact_secrets(text) == text


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("password", "sun", "[redacted: password]"),
        ("DB-Password", "two words", "[redacted: password]"),
        ("contraseña", "sol", "[redacted: password]"),
        ("api_key", "abc12345", "[redacted: secret]"),
        ("accessToken", "abc12345", "[redacted: secret]"),
        ("password", "required", "required"),
        ("password", "", ""),
        ("token", "the", "the"),
        ("pass", "sunflower", "[redacted: password]"),
        ("pass", "12345", "12345"),
        ("cvv", "123", "[redacted: security code]"),
        ("pin", "on the map", "on the map"),
        ("next_page_token", "abc12345", "abc12345"),
        ("note", "my password is hunter2", "my password is [redacted: password]"),
    ],
)
def test_field_name_tells_secrets(name: str, value: str, expected: str) -> None:
    assert redact_field(name, value) == expected


def test_several_secrets_in_one_text() -> None:
    text = f"Card 4111 1111 1111 1111, password hunter2: no; password: hunter2, key sk-{A32}."
    found = redact_secrets(text)
    assert redacted_in([found]) == ("card number", "password", "API key")


@pytest.mark.parametrize("text", [*(secret for _, secret in TAKEN_OUT), *(text for text, _ in SAID)])
def test_second_redaction_changes_nothing(text: str) -> None:
    once = redact_secrets(f"{text} and {text}")
    assert redact_secrets(once) == once


@given(st.integers(10**14, 10**15 - 1))
@settings(max_examples=50)
def test_one_wrong_digit_of_a_card_number_is_noticed(number: int) -> None:
    body = f"4{number}"[:15]
    cards = [f"{body}{digit}" for digit in range(10) if is_card_number(f"{body}{digit}")]
    assert len(cards) == 1
    assert redact_secrets(f"a {cards[0]} b") == "a [redacted: card number] b"


PUMPS = (
    "password is ", "password: a ", "password", "eyJ", "eyJ.", "sk-", "4111 ", "4111", "DE89 ", "pin is ", "pin ",
    "-----BEGIN PRIVATE KEY-----", "a://b:", "a://b:c@", "api_key=", "token=", "Bearer ", "SG.", "'", "[redacted: ",
)  # fmt: skip


@pytest.mark.parametrize("pump", PUMPS)
def test_a_long_text_takes_time_in_proportion(pump: str) -> None:
    text = f"my {pump * (100_000 // len(pump))}"
    started_at = time.process_time()
    redact_secrets(text)
    assert time.process_time() - started_at < 3
