"""Passwords and keys as people tell them and as tools take them, and the sentences and settings beside them."""

from __future__ import annotations

import random
import re
import string

import pytest

from aiguard.detect import default_detector
from aiguard.detect.entropy import password_value, scrambled, unpronounced, word_password

PASSWORDS = ("VtxRm4Jd", "Gqn58Wk#@", "Tr0ub4dor&3", "x7Kq-92mm!")

TOLD = (
    "10.20.30.40 (joe/{})", "10.20.30.40(pw:{})", "joe@10.20.30.40 (joe/{})", "id/pw joe/{}", "ID PW joe {}", "ID/PW(joe/{})", "ID:PW=joe:{}",
    "(ID&PWD):joe/{}", "ID/PW->joe/{}", "user/pass:joe,{}", "login/password-joe/{}", "ID/Password for joe (joe/{})", "id joe pw {}",
    "username joe password {}", "ID-joe/PASS-{}", "ID:joe,PW {}", "계정/PW:joe/{}", "아이디:joe 패스워드:{}", "비번 {}", "비밀번호({})", "pw는 {}", "P/W:{}",
    "密码：{}", "パスワードは{}", "password(default:{})", "PASSWORD({})", "password for joe:{}", "password in staging is {}", "root password {}",
    "'{}' is the password", "login with joe / {}", "כתוב: סיסמה: {}", "كلمة المرور: {}", "mật khẩu là {}", "รหัสผ่าน: {}", "पासवर्ड: {}", "пароль от сервера {}",
)  # fmt: skip

TAKEN = (
    'new NetworkCredential("joe", "{}")', 'new DirectoryEntry("LDAP://x.example",\n    "joe",\n    "{}")', 'mysqli_connect("localhost", "root", "{}", "shop")',
    "psexec \\\\host -u joe -p {} cmd", "curl --proxy-tlspassword {} https://localhost", "echo '{}' | sudo -S id", "openssl rsa -passin pass:{} -in k.pem",
    "zip -P {} a.zip b", "sqlplus joe/{}@orcl", "enable secret 0 {}", "neighbor 10.0.0.1 password 7 {}", 'PASSWORD = os.environ.get("PASSWORD") or "{}"',
    "const password = process.env.PASSWORD || '{}'", "<key>dbPassword</key>\n<string>{}</string>", 'variable "db_password" {{\n  type = string\n  default = "{}"\n}}',
    'PASSWORD = \\\n    "{}"', 'if "{}" == password:', "jdbc:mysql://db/x?user=joe&amp;userpass={}", 's:8:"password";s:9:"{}";', "mypw: {}",
)  # fmt: skip


@pytest.mark.parametrize("form", [*TOLD, *TAKEN])
def test_a_password_is_found_in_the_form_that_people_and_tools_give_it(form: str) -> None:
    missed = []
    for password in PASSWORDS:
        if "@" in password and "{}@" in form:
            continue
        text = form.format(password)
        at = text.index(password)
        found = [f for f in default_detector().detect(text) if f.type == "SECRET"]
        if not any(f.start <= at and f.end > at for f in found):
            missed.append(text)
    assert missed == []


@pytest.mark.parametrize(
    "form",
    ["Client secret {}", "access token {}", "secret {}", "the client secret {} was leaked", "api-key {}", "토큰 {}"],
)
def test_a_key_is_found_behind_the_word_alone(form: str) -> None:
    chance = random.Random(form)
    for _ in range(5):
        key = "".join(chance.choices(string.ascii_letters + string.digits, k=24)) + "7aB2"
        assert [f for f in default_detector().detect(form.format(key)) if f.type == "SECRET"], key


SAID = (
    "user and password are both required", "Enter your username and password to continue", "login / password: see intranet", "The password is incorrect",
    "password hash2024 is stored", "The secret to good bread is time", "Access token authentication2 is deprecated", "10.0.0.5 GET /api/v2/users/1234 200",
    "joe@example.org opened PR/1234 yesterday", "172.16.0.1 - joe [10/Oct/2000:13:55:36]", "비밀번호는 8자 이상이어야 합니다.", "암호 알고리즘은 AES256을 사용합니다.",
    "パスワードは8文字以上で入力してください。", "密码长度至少为8位", "пароль: не менее 8 символов", "seed: 42", "a mnemonic phrase has twelve words",
    "enable password authentication", '"Password" => "required|min:8|confirmed",', "password: Joi.string().min(8).required(),", "password-strength-meter@4.2.0",
    "POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?required}", 'this.addPassword = "#add-password";', '"pass_mask32": "0x31c45018"', 'password = f"prefix_{value}"',
    "http://192.168.0.1/master/uR64kN_e/api", "mongodb://xxxx:xxxxx@xxxxxxx:3717/db", "OLDPWD=/home/joe/src/app-2", '"keyid": "b1548e26e873650d0a526d3c533fe66c195e9b60"',
    "<Signature>TsLldJoez//dS93jze7DPAkk5KRjDEJ+XCTiW4l5spoGfjHEjT4TYg9oLLx/</Signature>", 'curl -u "$USER:$PASSWORD" https://127.0.0.1',
    '"password": "wachtwoord"', "password_field = 'userpassword'", 'autocomplete="current-password"', 'FUNCTION_PASS("localstackalloc", X)', "DB_PASSWORD=password\n",
)  # fmt: skip


@pytest.mark.parametrize("text", SAID)
def test_what_is_said_about_passwords_is_none(text: str) -> None:
    assert [(f.recognizer, text[f.start : f.end]) for f in default_detector().detect(text) if f.type == "SECRET"] == []


@pytest.mark.parametrize(
    "text",
    [
        "seed phrase: legal winner thank year wave sausage worth useful legal winner thank yellow",
        '"mnemonic": "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"',
        "Product key: Q4MTN-RB7KD-2HXPW-6VJCF-9TGYL",
        "Recovery codes: a1b2c-d3e4f",
        '"AdminPassword" : "bluegiraffe"',
        "SMTP_PASS=bluegiraffe # old",
        "The default password is 'mosswillow'",
        'smtp.login("joe@example.org", "qxvk jzpm wtgh bfrd")',
        'passphrase := "tall giraffes along the river"',
        "BOOTSTRAP_TOKEN=b7e41c.9d20f5ac83e6147b",
        "client-key-data: LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlFb3dJQkFBS0NBUUVB",
        'secret_tokens = """\ncqt1kz8rfkc6Vc/PjT2d3HKPRVEccYYk80jTGD5s/HQ4r3ufkfbQMcsrCqaMhX9XGYsB4q\n"""',
    ],
)
def test_words_are_a_credential_where_the_place_says_so(text: str) -> None:
    assert [f for f in default_detector().detect(text) if f.type == "SECRET"]


AI_KEYS = (
    "sk-proj-{74}T3BlbkFJ{74}", "sk-svcacct-{58}T3BlbkFJ{58}", "sk-admin-{58}T3BlbkFJ{58}", "sk-ant-api03-{93}AA", "sk-ant-admin01-{93}AA", "sk-ant-oat01-{93}AA",
    "AQ.Ab8RN6{44}", "gsk_{52}", "xai-{80}", "pplx-{48}", "r8_{37}", "hf_{34}", "tgp_v1_{43}", "fw_{22}", "nvapi-{64}", "pcsk_{6}_{63}", "pa-{43}", "jina_{60}",
    "wandb_v1_{27}_{49}", "tvly-dev-{32}", "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t{180}", "ABSKQmVkcm9ja0FQSUtleS{109}=", "llx-{48}", "sk_car_{21}", "sk-kimi-{64}",
    "sk-api-{80}", "mxb_{32}", "nk-{43}", "ck-{44}", "tpuf_{32}", "ste-{60}", "up_{29}", "key_live_{32}", "sk_staging_{36}", "LLM|123456789012345|{27}", "ydc-sk-{16}-{32}-{8}",
)  # fmt: skip


@pytest.mark.parametrize("shape", AI_KEYS)
def test_a_key_of_a_model_server_is_found_alone_in_sentences_and_in_settings(shape: str) -> None:
    chance = random.Random(shape)
    alphabet = string.ascii_letters + string.digits

    def drawn(match: re.Match[str]) -> str:
        return "".join(chance.choices(alphabet, k=int(match[1])))

    for _ in range(8):
        key = re.sub(r"\{(\d+)\}", drawn, shape)
        for form in (
            "{}",
            "please use {} for the calls",
            "`{}`",
            "MODEL_KEY={}",
            '{{"key": "{}"}}',
            "Authorization: Bearer {}",
        ):
            text = form.format(key)
            middle = text.index(key) + len(key) // 2
            assert any(f.type == "SECRET" and f.start <= middle < f.end for f in default_detector().detect(text)), text


@pytest.mark.parametrize("service", ["Mistral", "Cohere", "Azure OpenAI", "AssemblyAI", "Deepgram", "Exa"])
def test_a_key_without_a_shape_is_found_where_somebody_says_whose_it_is(service: str) -> None:
    for key in (
        "kMrbwHjG78fYzneT934Pn34NQxVSxniq",
        "6c8ba06cb14a32d508948606d8b5d9c8f70e493b",
        "6e2d7b24-2ddd-4bcc-b697-e41459fb74c4",
    ):
        assert [f for f in default_detector().detect(f"My {service} key is {key}, thanks") if f.type == "SECRET"], key


@pytest.mark.parametrize(
    "text",
    [
        "integrity sha512-AP1AyUTbi2szylgr+O0OB7gkIxEGzySLITZ2GpsaoX72YMCGI2jYAc+WUhPfvUnZYiauF4zTnN4V4TGuvFjJlw==",
        "kind: APDosLogConf",
        "https://username:password@files.example.org/releases",
        "mysql://admin:REPLACE_WITH_PASSWORD@db.example.org/x",
        "sk-folding-cube-animation-2 sk-circle-fade-dot-12",
        "interface A { password: string; price: number; }",
        "the primary key is customer_id_2024_archive",
        "certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUM1ekNDQWMrZ0F3SUJBZ0lCQURBTkJn",
        '"password": "please choose something longer than that"',
    ],
)
def test_parts_of_hashes_samples_and_names_are_no_keys(text: str) -> None:
    assert [(f.recognizer, text[f.start : f.end]) for f in default_detector().detect(text) if f.type == "SECRET"] == []


def test_random_letters_are_told_from_words() -> None:
    chance = random.Random(5)
    drawn = ["".join(chance.choices(string.ascii_lowercase, k=12)) for _ in range(400)]
    assert sum(map(unpronounced, drawn)) > 320
    words = [
        "password",
        "database",
        "wachtwoord",
        "configuration",
        "strengthen",
        "rhythmical",
        "bluegiraffe",
        "contraseña",
        "algorithm",
        "kubernetes",
        "postgresql",
    ]
    assert not any(map(unpronounced, words))


def test_letters_and_digits_in_turn_are_told_from_names_with_numbers() -> None:
    assert all(map(scrambled, ("VtxRm4Jd", "uR61kN_e", "DTkw7Rzp3Hhm2V8", "TkLW_hpzxrfGJ_vmOsq4d")))
    assert not any(map(scrambled, ("Base64Encoder", "OAuth2Token", "Summer2024", "HTTP2", "SHA256SUM", "version12")))


def test_a_word_is_a_password_only_where_it_says_nothing_of_passwords() -> None:
    assert word_password("bluegiraffe")
    assert not any(
        map(
            word_password,
            ("required", "username", "hidden_field", "giraffe", "Bluegiraffe", "somefakekey", "current-password"),
        )
    )
    assert not password_value("bluegiraffe")
