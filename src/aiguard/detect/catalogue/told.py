"""Credentials as people write them down for each other: a user and a password in one line, in brackets, behind an address."""

from __future__ import annotations

import re
from typing import Final

from aiguard.detect.entropy import (
    argument,
    passphrase,
    password_value,
    placeholder,
    scrambled,
    strong_value,
    unpronounced,
    uuid_value,
    word_password,
)
from aiguard.scan import Recognizer

_USER: Final = (
    r"(?:\b(?:id|user(?:[ _\-]?(?:name|id))?|login|account|acct|usuario|usuário|utilisateur|benutzer(?:name)?)"
    r"|계정|아이디|账号|帐号|用户名|ユーザー名?|логин)"
)
_CALLED: Final = r"(?:pass(?:word|wd|code)?|pwd?|p/w|비밀번호|비번|패스워드|암호|密码|密碼|口令|パスワード|пароль|contraseña|senha|passwort|mot de passe)"
_KINDS: Final = r"(?:secret|token|(?:api|access|secret|auth(?:entication)?|client|private|account|service|encryption|signing)[ _\-]key|토큰|トークン|令牌|密钥|密鑰)"
_VALUE: Final = r"([^\s\"'`<>(){}\[\]|/,]{5,64})"
_PLAIN: Final = r"([!#$%*+.0-9:=?@A-Z^_a-z~\-]{5,64})"
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NO_SEED: Final = frozenset({"the", "and", "was", "are", "for", "with", "from", "has", "not", "but", "its", "can"})


def typed(text: str) -> bool:
    """A password that nobody takes for a word: letters and digits in turn, or with a sign among them."""
    text = text.rstrip(".,;:!?") if len(text) > 8 else text
    if not password_value(text) or "://" in text or "@" in text[1:-1].partition("@")[2]:
        return False
    digits = sum(map(str.isdigit, text))
    letters = sum(map(str.isalpha, text))
    if not digits or not letters:
        return False
    signs = any(sign in text[:-1] for sign in "!#$%^&*+=?~@")
    return signs or scrambled(text)


def loose(text: str) -> bool:
    """A password between signs that say that it is one: letters and digits are enough."""
    text = text.rstrip(".,;:!?") if len(text) > 8 else text
    return password_value(text) and any(map(str.isalpha, text)) and (typed(text) or any(map(str.isdigit, text[:-1])))


def _key(text: str) -> bool:
    text = text.rstrip(".,;:!?")
    return len(text) >= 12 and not placeholder(text) and (scrambled(text) or strong_value(text))


def _stated_key(text: str) -> bool:
    text = text.rstrip(".,;:!?")
    return strong_value(text) or scrambled(text) or (_UUID.fullmatch(text) is not None and uuid_value(text))


def _seed(text: str) -> bool:
    words = text.split()
    return len(words) in {12, 15, 18, 21, 24} and not _NO_SEED.intersection(words)


# name, pattern, check, source, example, counter-example
_FORMS: Final = (
    (
        "pair_signed",
        (rf"(?i){_USER}[ ]?[/&:|,(][ ]?{_CALLED}\)?(?:[ ]?/[ ]?port)?[ ]{{0,2}}(?:->|=>|[:=：(]|-|are[ ]|is[ ]|for[ ][^\s(]{{1,40}}[ ]\()?"
        rf"[ ]{{0,2}}[^\s/|,:()]{{1,64}}[ ]{{0,2}}(?:/{{1,2}}|[|,:(])[ ]{{0,2}}{_VALUE}"),
        loose, "how people write a user and a password", "ID/PW(joe/IhqS1Gg8)", "user/password: see wiki/passwords",
    ),
    (
        "pair_spaced",
        rf"(?i){_USER}(?:[ ]?[/&|,][ ]?|[ ]){_CALLED}[ ]?[:=]?[ ][^\s/|,:()]{{1,64}}(?:[ ]{{1,2}}|[ ]?/{{1,2}}[ ]?){_VALUE}",
        typed, "how people write a user and a password", "id pw joe VtxRm4Jd", "login password reset page2",
    ),
    (
        "pair_named",
        rf"(?i){_USER}[\])]?[ ]?[:=\-(]?[ ]?[^\s/|,:()]{{1,64}}\)?[ ]?[/|,;]?[ ]?\(?{_CALLED}[)\]]?[ ]{{0,2}}[\-(:=：]?[ ]{{0,2}}{_VALUE}",
        typed, "how people write a user and a password", "user joe password VtxRm4Jd", "user joe password reset2024",
    ),
    (
        "pair_behind_address",
        (r"(?i)\b(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|[a-z0-9._\-]{1,40}@[a-z0-9.\-]{3,60})(?::\d{2,5})?(?:/[a-z0-9_\-]{1,20})?[ ]{0,2}(?:[a-z:{}0-9]{1,20}[ ])?"
        rf"(?:\(|-->|[ ]|,)[a-z0-9._@\-]{{1,40}}[ ]?/{{1,2}}[ ]?{_VALUE}"),
        typed, "how people write an address, a user and a password", "10.1.2.3 (joe/VtxRm4Jd)", "10.1.2.3 GET/index2.html",
    ),
    (
        "password_bracketed",
        rf"(?i){_CALLED}[ ]?[(（](?:default[ ]?[:=][ ]?)?[\"'`]?{_VALUE}[\"'`]?[)）]",
        loose, "how people write a password in brackets", "비밀번호(Gqn58Wk#)", "password(length=12)",
    ),
    (
        "password_beside_word",
        (
            rf"(?i)\b{_CALLED}(?:[ ](?:in|on|of|at)[ ][^\s]{{1,40}}[ ]is[ ]|[ ](?:for|in|on|of)[ ][^\s:=]{{1,40}}[ ]?:[ ]?|,[ ]?default[ ]?:[ ]?"
            rf"|[ ]?(?:[ \-]|->|:)[ ]?){_VALUE}"
        ),
        typed, "how people write a password behind the word", "root password VtxRm4Jd", "password hash2024 is stored",
    ),
    (
        "password_east_asia",
        rf"(?:(?:비밀번호|비번|패스워드|암호|パスワード|暗証番号|密码|密碼|口令)(?:[가-힣ぁ-んァ-ヶ一-龯]{{1,4}}|[ ]?[:：=(（]|[ ])|(?:[pP]/?[wW]|[pP]assword)[가-힣]{{1,4}})[ ]{{0,2}}[\"'`「“]?{_PLAIN}",
        loose, "how people write passwords in Chinese, Japanese and Korean", "비번은 Gqn58Wk#", "암호 알고리즘 SHA2",
    ),
    (
        "password_other_scripts",
        (r"(?i)(?:كلمة[ ](?:المرور|السر)|رمز[ ](?:المرور|عبور)|گذرواژه|סיסמ[הא]|mật[ ]khẩu|รหัสผ่าน|पासवर्ड|পাসওয়ার্ড|кодова дума|κωδικός|kata[ ](?:sandi|laluan)|parolă|пароль)"
        r"[ ]?(?:(?:هي|هو|היא|הוא|là|คือ|है|είναι|adalah|ialah|este|це)[ ]|(?:от|для|к|на|від|до)[ ][^\s:]{1,30}[ ]?:?[ ]|[:：=])?[ ]{0,3}[\"'`«]?"
        rf"{_PLAIN}"),
        loose, "how people tell passwords in other scripts", "كلمة المرور: Sayf2024!", "пароль: не менее 8 символов",
    ),
    (
        "login_with",
        rf"(?i)\b(?:log(?:[ ]?in)?|sign[ ]in|use|using|creds?|credentials?)[ ](?:with|as|using|are|is)?[ ]?(?:[a-z0-9._\-]{{2,40}})[ ]?[/:][ ]?{_VALUE}",
        typed, "how people say how to log in", "login with admin / Adm1n!23", "use std:vector2 to log in",
    ),
    (
        "recovery_code",
        r"(?i)\b(?:recovery|backup|scratch|2fa)[ _\-]codes?[\"']?[ ]?[:=][ ]{0,2}[\"'\[]{0,2}([a-z0-9]{4,10}(?:-[a-z0-9]{4,10}){1,4})\b",
        lambda text: any(map(str.isdigit, text)) and any(map(str.isalpha, text)) and not placeholder(text), "codes that stand in for a second factor", "Recovery codes: a1b2c-d3e4f", "backup codes: eight-times",
    ),
    (
        "app_password",
        r"(?i)(?:pass(?:word|wd)?|pwd|login\([^()\n]{0,80},)[\"'\]]{0,2}[ ]{0,2}[:=]?[ ]{0,2}[\"']?((?-i:[a-z]{4}[ ][a-z]{4}[ ][a-z]{4}[ ][a-z]{4}))\b",
        lambda text: unpronounced(text.replace(" ", "")), "Google, app passwords", 'smtp.login("joe@example.org", "qxvk jzpm wtgh bfrd")', "password must have more than that",
    ),
    (
        "password_before",
        (r"(?i)[\"'`]([^\s\"'`<>(){}\[\]|/,]{6,64})[\"'`][ ](?:is|ist|es|est|è|é)[ ](?:the|my|our|his|her|their|das|mein|la|mi|le|mon|o|il)[ ](?:[a-z]{2,12}[ ])?"
        rf"{_CALLED}\b"),
        typed, "how people state a password in quotes before the word", "'VtxRm4Jd' is the root password", "'base64' is the password encoding",
    ),
    (
        "password_stated_quoted",
        (rf"(?i)\b{_CALLED}(?:[ ](?:for|of|in|to)[ ](?:the[ ])?(?:user(?:name)?[ ])?[\"'`]?[^\s\"'`]{{1,40}}[\"'`]?)?[ ](?:is|was|ist|lautet|est|es|è|é)[ ]?:?[ ]"
        r"[\"'`]([^\s\"'`<>{}$]{4,64})[\"'`]"),
        lambda text: not placeholder(text), "how people state a password in quotes", "the password is 'mosswillow'", "the password is '<password>'",
    ),
    (
        "key_beside",
        rf"(?i){_KINDS}[)\]]?(?:[ ](?:암호화|xxx|\([a-z0-9]{{1,20}}\)))?[ ]{{1,3}}\(?[\"'`]?([A-Za-z0-9+/_\-.~=]{{12,200}})",
        _key, "how people write a key behind the word", "Client secret DTkw7Rzp3Hhm2V8", "token authentication-with-v2-headers",
    ),
    (
        "key_of_ours",
        r"(?i)\b(?:key|token|secret|credential)[ ](?:is|was)[ ]?:?[ ][\"'`]?([A-Za-z0-9+/_\-.~|:]{16,200}={0,2})",
        _stated_key,
        "how people tell keys",
        "my Deepgram key is 9cb8fe9b3b6222bd9714ae3148c9ed9b",
        "the primary key is customer_id_2024_archive",
    ),
    (
        "passphrase_words",
        (
            r"(?i)pass[_\- ]?(?:phrase|word)[\"'\]]{0,2}[ ]{0,2}(?::?={1,3}>?|:|\()[ ]{0,2}(?:new[ ]String\()?[\"'`]"
            r"((?-i:(?:[a-z]{3,12}[ ]){3,11}[a-z]{3,12}))[\"'`]"
        ),
        passphrase,
        "a passphrase of several words in quotes",
        'passphrase = "tall giraffes along the river"',
        'passphrase: "enter your passphrase here"',
    ),
    (
        "seed_phrase",
        (r"(?i)\b(?:mnemonic|(?:seed|recovery|wallet|backup)[ _\-]?(?:phrase|words)|seed)[\"'\])]{0,2}[ ]{0,2}(?:[:=(]|is|are)[ ]{0,2}[\"'`(\[]?"
        r"((?:[a-z]{3,8}[ ]{1,2}){11,23}[a-z]{3,8})\b"),
        _seed, "BIP-39: twelve to twenty-four words open a wallet",
        "seed phrase: legal winner thank year wave sausage worth useful legal winner thank yellow",
        "seed: take the seeds and put them into earth that was warm and then wait for sun",
    ),
    (
        "network_device",
        (r"(?i)\b(?:enable[ ](?:password|secret)|username[ ][^\s]{1,40}(?:[ ]privilege[ ]\d{1,2})?[ ](?:password|secret)|(?:tacacs|radius)-server[^\n]{0,60}[ ]key|"
        r"pac[ ]key|isakmp[ ]key|key-string|wpa-psk[ ]ascii|neighbor[ ][^\s]{1,40}[ ]password)[ ](?:level[ ]\d{1,2}[ ])?(?:[05-9][ ])?([^\s]{4,128})"),
        password_value, "Cisco IOS", "enable secret 5 $1$aBcd$R4nd0mT3xt", "enable password authentication",
    ),
    (
        "psexec_password",
        r"(?i)\bpsexec(?:64)?(?:\.exe)?\b[^\n]{0,120}?[ ]-p[ ]{1,3}[\"']?([^\s\"'\-][^\s\"']{4,64})",
        argument, "PsExec", "PsExec.exe \\\\host -u admin -p Summ3rtime cmd", "psexec \\\\host -u admin -p %PW% cmd",
    ),
    (
        "connect_call",
        (r"(?i)\b(?:DirectoryEntry|getConnection|mysqli?(?:_p?connect)?|new[ ]PDO|oci_connect|ftp_login|imap_open|OpenDSObject|createConnection|ldap_bind|FTP(?:_TLS)?)[ ]?\([ \r\n]{0,12}"
        r"(?:\$?[a-z_]{1,30},[ \r\n]{0,20})?[\"'][^\"'\n]{0,160}[\"'],[ \r\n]{0,24}[\"'][^\"'\n]{0,80}[\"'],[ \r\n]{0,24}[\"']([^\s\"']{4,100})[\"']"),
        lambda text: (password_value(text) or word_password(text)), "calls whose third argument is a password",
        'DriverManager.getConnection("jdbc:mysql://db/x", "root", "Tr0ub4dor")', 'getConnection("jdbc:mysql://db/x", "root", "${PW}")',
    ),
    (
        "license_key",
        r"(?i)\b(?:activation|licen[cs]e|product|serial|registration|cd)[ _\-]?(?:key|code|number)[\"']?[ ]{0,2}(?:[:=]|is)[ ]{0,2}[\"']?([A-Z0-9]{4,6}(?:-[A-Z0-9]{4,6}){3,7})\b",
        lambda text: len(set(text)) > 8 and any(map(str.isalpha, text)), "keys that unlock a product", "Product key: Q4MTN-RB7KD-2HXPW-6VJCF-9TGYL", "product key: XXXXX-XXXXX-XXXXX-XXXXX-XXXXX",
    ),
    (
        "named_entry",
        (r"(?i)<key>[ ]?[\w.\-]{0,60}(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_\-.]?key|access[_\-.]?key|private[_\-.]?key)[\w.\-]{0,20}[ ]?</key>"
        r"[ \t\r\n]{0,24}<(?:value|string)>[ ]?([^\s<>]{4,200})[ ]?</"),
        password_value, "property lists: a key and a value", "<key>dbPassword</key>\n<string>Summ3rtime</string>", "<key>passwordHint</key>\n<string>required</string>",
    ),
    (
        "compared_password",
        r"(?i)[\"']([^\s\"']{6,64})[\"']\)?[ ]?[!=]={1,2}[ ]?[\w.$>\-]{0,30}(?:password|passwd|pwd|passphrase)\b",
        password_value, "a comparison with a password on the right", 'if "Summ3rtime" == password:', "if 'required' == password:",
    ),
)  # fmt: skip

RECOGNIZERS = tuple(
    Recognizer(
        name=name,
        type="SECRET",
        pattern=pattern,
        validate=check,
        boundary=False,
        base_score=0.6,
        priority=77,
        source=source,
        examples=(example,),
        counter_examples=(counter,),
    )
    for name, pattern, check, source, example, counter in _FORMS
)
