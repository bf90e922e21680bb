"""Credentials in headers, on command lines, in statements and in connection strings, where the syntax says what they are."""

from __future__ import annotations

from typing import Final

from aiguard.detect.catalogue.naming import ALPHABET
from aiguard.detect.entropy import argument, mixed_token, password_value, placeholder, secret_value, word_password
from aiguard.scan import Recognizer

_SAMPLE_USERS: Final = frozenset(
    {"test:test", "user:password", "username:password", "username:token", "user:token", "name:password"}
)


def _header(text: str) -> bool:
    if text.islower() and not any(char.isdigit() for char in text):
        return False
    return not placeholder(text) and (len(text) >= 20 or secret_value(text) or text.endswith("="))


def _curl(text: str) -> bool:
    plain = text.strip("\"'").lower()
    if len(set(plain.rpartition(":")[2])) < 3:
        return False
    return plain not in _SAMPLE_USERS and "user:pass" not in plain and not placeholder(text)


RECOGNIZERS = (
    Recognizer(
        name="authorization_header",
        type="SECRET",
        pattern=(
            r"(?i)\b(?:authorization|x-api-key|x-auth-token|x-access-token|private-token|apikey|x-jfrog-art-api|"
            r"x-vault-token|x-goog-api-key|ocp-apim-subscription-key|x-amz-security-token)[\"'`\\\]]{0,3}[ ]{0,2}(?:[:=,]|=>)[ ]{0,2}[\"'`\\]{0,2}"
            r"(?:(?:basic|bearer|token|apikey|api-token|digest|ssws|key|hmac|oauth|bot|jwt|pve\w{3,5}token)[ =]{1,2}(?:token=)?[\"'\\]{0,2})?"
            r"([A-Za-z0-9+/=_\-.~:!%]{8,400})"
        ),
        validate=_header,
        boundary=False,
        base_score=0.8,
        priority=85,
        source="RFC 9110, section 11.6.2",
        examples=(
            "Authorization: Basic YnJvd3Nlcjo=",
            "X-Api-Key: 3f2a91bc77de",
            "Authorization: Api-Token 22cb987851bc5659a29114c62e60c79abd0d2c08",
            'headers["Authorization"] = "Bearer 3f2a91bc77de0099"',
        ),
        counter_examples=("Authorization: Bearer XXXXXXXXXXXX", "Authorization: $TOKEN", "Authorization: Bearer ..."),
    ),
    Recognizer(
        name="bearer",
        type="SECRET",
        pattern=r"(?i)\b(?:bearer|ssws)[ ]{1,2}([A-Za-z0-9+/=_\-.~]{20,400})",
        validate=mixed_token,
        base_score=0.7,
        priority=84,
        source="RFC 6750",
        examples=("it sends Bearer 3f2a91bc77de00aa99bb11",),
        counter_examples=("bearer authentication_is_required_here",),
    ),
    Recognizer(
        name="basic",
        type="SECRET",
        pattern=r"(?i)[\"'`]basic[ ]([A-Za-z0-9+/]{8,400}={0,2})[\"'`]",
        validate=lambda text: not placeholder(text) and (text.endswith("=") or mixed_token(text)),
        boundary=False,
        base_score=0.7,
        priority=84,
        source="RFC 7617",
        examples=('AUTH = "Basic Hbr73gu7gdsr=="',),
        counter_examples=('plan = "Basic subscription"',),
    ),
    Recognizer(
        name="curl_user",
        type="SECRET",
        pattern=(
            r"(?s)\b(?:curl|wget|http)\b.{0,300}?[ ](?:-u|--user|--proxy-user)[ =]{0,2}"
            r"[\"']?([^\s\"':<$\[]{0,64}[\"']?:[\"']?[^\s\"'<$\[][^\s\"']{2,100})"
        ),
        validate=_curl,
        boundary=False,
        base_score=0.8,
        priority=85,
        source="curl(1)",
        examples=(
            "curl -u elastic:P@ssw0rd$1 https://localhost:9200",
            'curl -u ":d2LkV78zLx" https://localhost:9200',
            "curl --user kevin:'pRf7vG2h1L8nQkW9' https://localhost",
        ),
        counter_examples=("curl -u <user:password> https://x", 'curl --user "$1:$2"', "curl -u 'test:test'"),
    ),
    Recognizer(
        name="curl_token_user",
        type="SECRET",
        pattern=r"(?s)\b(?:curl|wget|http)\b.{0,300}?[ ](?:-u|--user)[ =]{0,2}[\"']?([^\s\"':<>$\[{]{8,100}):[\"'\s]",
        validate=password_value,
        boundary=False,
        base_score=0.7,
        priority=84,
        source="curl(1)",
        examples=('curl -u "d2LkV78zLx!t:" https://localhost:9200',),
        counter_examples=('curl -u "$TOKEN:" https://x', "curl -u admin: https://x"),
    ),
    Recognizer(
        name="curl_header",
        type="SECRET",
        pattern=(
            r"(?is)\bcurl\b.{0,300}?[ ](?:-H|--header)[ =]{0,2}[\"'](?:[a-z0-9]{1,20}-){0,4}"
            r"(?:token|key|auth|secret|password|apikey)[ ]{0,2}:[ ]{0,2}(?:[a-z\-]{3,12}[ ]{1,2})?([A-Za-z0-9+/=_\-.~:]{8,400})"
        ),
        validate=_header,
        boundary=False,
        base_score=0.8,
        priority=84,
        source="curl(1)",
        examples=('curl -XPOST http://localhost/api -H "Token: 3fea6af1349166ea" -d "x"',),
        counter_examples=('curl -H "X-Token: $TOKEN" http://localhost', 'curl -H "Token: <token>" http://localhost'),
    ),
    Recognizer(
        name="password_option",
        type="SECRET",
        pattern=(
            r"(?i)--?(?:[a-z0-9]{1,16}[_\-]){0,3}(?:tls|user|db|root|admin)?(?:password|passwd|passphrase|pwd|pass|pw|storepass|keypass)[ =]{1,2}[\"'\\]{0,2}"
            r"([^\s\"'`<>(){}\[\];|&$\\][^\s\"'`<>;|&\\]{4,100})"
        ),
        validate=password_value,
        boundary=False,
        base_score=0.7,
        priority=80,
        source="keytool(1) and its like",
        examples=("deploy --db-password S3cure-pass --force", "keytool -storepass ch4ngeit9"),
        counter_examples=("run --password-file secrets.txt", "run --password $PASSWORD"),
    ),
    Recognizer(
        name="mysql_password",
        type="SECRET",
        pattern=(
            r"\b(?:mysql(?:dump|admin|import|check)?|mariadb(?:-dump|-admin)?)\b[^\n|;]{0,200}?"
            r"[ ]-p[\"']?([^\s\"'\-][^\s\"']{4,100})"
        ),
        validate=argument,
        boundary=False,
        base_score=0.7,
        priority=77,
        source="mysql(1), option -p",
        examples=("mysql -u root -pS3cretPw1 shop", "mysqldump -uroot -p'S3cretPw1' shop"),
        counter_examples=("mysql -u root -p$PASSWORD shop", "mysql -u root -p app"),
    ),
    Recognizer(
        name="command_password",
        type="SECRET",
        pattern=(
            r"\b(?:sshpass|docker[ ]login|podman[ ]login|helm[ ]registry[ ]login|az[ ]login|oc[ ]login|ldap(?:search|modify|add)|psql|smbclient"
            r"|rclone|wget|redis-cli|mongo(?:sh|dump)?|htpasswd|sqlcmd|psexec|zip|unzip|7za?|unrar|xfreerdp|rdesktop|net[ ]use)\b[^\n|;]{0,200}?"
            r"[ ](?:(?:-p|-P|-w|-a|--password|--http-password|--pass)[ =]|-p|/p:)[\"']?([^\s\"'\-][^\s\"']{4,100})"
        ),
        validate=argument,
        boundary=False,
        base_score=0.7,
        priority=77,
        source="manual pages of the commands",
        examples=(
            "sshpass -p 'S3cretPw1' ssh root@example.org",
            "sshpass -pS3cretPw1 ssh host",
            "xfreerdp /u:joe /p:S3cretPw1 /v:host",
            "sqlcmd -S db -U sa -P S3cretPw1",
        ),
        counter_examples=("docker login -u joe -p $TOKEN example.org", "docker login -u joe example.org"),
    ),
    Recognizer(
        name="command_input",
        type="SECRET",
        pattern=(
            r"\b(?:echo[ ](?:-[a-z]{1,3}[ ])?[\"']?([^\s\"'$`]{4,64})[\"']?[ ]?\|[ ]?sudo[ ]-[A-Za-z]{0,3}S)\b"
        ),
        validate=argument,
        boundary=False,
        base_score=0.8,
        priority=77,
        source="sudo(8), option -S",
        examples=('echo "Adm1nP4ss" | sudo -S apt-get update',),
        counter_examples=('echo "$PASSWORD" | sudo -S apt-get update',),
    ),
    Recognizer(
        name="command_key",
        type="SECRET",
        pattern=r"\bopenssl\b[^\n|;]{0,200}?[ ](?:-k[ ]|-pass(?:in|out)?[ ]pass:)[\"']?([^\s\"'\-$][^\s\"']{3,100})",
        validate=argument,
        boundary=False,
        base_score=0.7,
        priority=77,
        source="openssl-passphrase-options(1)",
        examples=("openssl rsa -passin pass:k3yPhrase -in key.pem", "openssl enc -aes-256-cbc -k 0penSslKey9 -in a"),
        counter_examples=("openssl rsa -passin env:PASS -in key.pem", "openssl enc -k $KEY -in a"),
    ),
    Recognizer(
        name="oracle_login",
        type="SECRET",
        pattern=r"(?i)(?:jdbc:oracle:[a-z0-9]{2,8}:|\b(?:sqlplus|sqlldr|expdp|impdp|rman[ ]target)[ ](?:-[a-z][ ])?)[\w.$#\-]{1,40}/([^\s@/\"'<>$]{4,64})@",
        validate=lambda text: not placeholder(text),
        boundary=False,
        base_score=0.8,
        priority=82,
        source="Oracle, SQL*Plus and JDBC",
        examples=("jdbc:oracle:thin:scott/T1ger77@//db:1521/orcl", "sqlplus system/M4nager99@orcl"),
        counter_examples=("jdbc:oracle:thin:@host:1521:db", "sqlplus system/<password>@orcl"),
    ),
    Recognizer(
        name="command_token",
        type="SECRET",
        pattern=(
            r"(?i)\B--?(?:[a-z0-9]{1,16}[_\-]){0,3}(?:token|secret|api[_\-]?key|access[_\-]key|secret[_\-]key|auth|key)[ =]{1,2}[\"'\\]{0,2}"
            + ALPHABET
        ),
        validate=secret_value,
        boundary=False,
        base_score=0.7,
        priority=79,
        source="options of command lines",
        examples=("kubeadm join 10.0.0.1:6443 --token 9a08jv.c0izixklcxtmnze7", "run --okta_SECRET_KEY u1tn5ec8zjbttedk6a85"),
        counter_examples=("run --token-file token.txt", "gh --key my-deploy-key"),
    ),
    Recognizer(
        name="sql_password",
        type="SECRET",
        pattern=(
            r"(?i)\b(?:identified[ ]{1,3}(?:by|with[ ][a-z0-9_'\"]{1,30}[ ](?:by|as))(?:[ ]password)?|(?:with|encrypted|login|user|role)"
            r"[^;\n]{0,60}[ ]password[ =]{1,3}|password[ ]?\([ ]?|set[ ]password[^;\n]{0,60}=[ ]{0,2})[ ]{0,3}\\?[\"']([^\s\"']{4,100})"
        ),
        validate=lambda text: not placeholder(text) and len(set(text)) > 2,
        boundary=False,
        base_score=0.7,
        priority=81,
        source="CREATE USER in MySQL, Oracle, PostgreSQL and SQL Server",
        examples=(
            "CREATE USER 'app'@'%' IDENTIFIED BY 'letmein';",
            "ALTER ROLE app WITH LOGIN PASSWORD 'letmein';",
            "SET PASSWORD FOR 'app' = PASSWORD('letmein')",
        ),
        counter_examples=("CREATE USER app IDENTIFIED BY '<password>';", "IDENTIFIED BY '${DB_PASSWORD}'"),
    ),
    Recognizer(
        name="connection_password",
        type="SECRET",
        pattern=(
            r"(?i)(?:server|data source|host|hostname|uid|user(?: id|name)?|database|initial catalog|driver|jdbc:[a-z]{2,12}:)[ ]?[=:/@]"
            r"[^\n\"'`]{1,200}?[;?&,][ ]?(?:\"[ ]?[&+.][ ]?\")?(?:amp;)?(?:user)?(?:password|pwd|passwd|pass)[ ]?=[ ]?([^\s;\"'`&<>{}$%][^\s;\"'`&<>]{2,100})"
        ),
        validate=lambda text: not placeholder(text),
        boundary=False,
        base_score=0.8,
        priority=82,
        source="ADO.NET, ODBC and JDBC connection strings",
        examples=(
            "Server=db;Database=shop;User Id=sa;Password=letmein;Encrypt=true",
            "jdbc:mysql://db/shop?user=app&password=letmein",
        ),
        counter_examples=("Server=db;User Id=sa;Password=<password>;", "Server=db;User Id=sa;Password=${DB_PASSWORD};"),
    ),
    Recognizer(
        name="shared_key",
        type="SECRET",
        pattern=r"(?i)\b(?:AccountKey|SharedAccessKey|SharedSecretValue)[ ]?=[ ]?([A-Za-z0-9+/]{32,100}={0,2})",
        validate=mixed_token,
        boundary=False,
        base_score=0.9,
        priority=90,
        source="Azure connection strings",
        examples=("Endpoint=sb://x/;SharedAccessKey=aB3dE5fG7hJ9kL2mN4pQ6rS8tU1vW0xYzCaB3dE5fG7=",),
    ),
    Recognizer(
        name="netrc_login",
        type="SECRET",
        pattern=r"\b(?:machine[ \t\r\n]{1,4}[^\s]{1,100}|default)[ \t\r\n]{1,8}login[ \t\r\n]{1,4}[^\s]{1,100}[ \t\r\n]{1,8}password[ \t\r\n]{1,4}([^\s<$]{3,100})",
        validate=lambda text: not placeholder(text),
        boundary=False,
        base_score=0.8,
        priority=82,
        source="netrc(5)",
        examples=("machine api.example.org login bob password letmein",),
        counter_examples=("machine api.example.org login bob password <password>",),
    ),
    Recognizer(
        name="pgpass_line",
        type="SECRET",
        pattern=r"\b[A-Za-z0-9.\-]{1,60}:(?:5432|5433|6432|3306|1433):[^\s:/@]{1,60}:[^\s:/@]{1,60}:([^\s:@<$]{4,100})",
        validate=lambda text: not placeholder(text),
        boundary=False,
        base_score=0.7,
        priority=82,
        source="The PostgreSQL documentation, section 34.16",
        examples=("db.internal:5432:shop:app:letmein",),
    ),
    Recognizer(
        name="registry_auth",
        type="SECRET",
        pattern=r"(?i)[\"'](?:auth|identitytoken|registrytoken|_auth)[\"'][ ]?[:=][ ]?[\"']([A-Za-z0-9+/_\-.]{12,400}={0,2})[\"']",
        validate=lambda text: not placeholder(text) and (text.endswith("=") or mixed_token(text)),
        boundary=False,
        base_score=0.7,
        priority=81,
        source="docker-login(1), npmrc(5)",
        examples=('{"auths": {"https://x/v1/": {"auth": "Ym9iOmxldG1laW4="}}}',),
        counter_examples=('{"auth": "credential_helper"}',),
    ),
    Recognizer(
        name="query_credential",
        type="SECRET",
        pattern=(
            r"(?i)[?&](?:[a-z0-9]{1,16}[_\-]){0,2}(?:api_?key|key|token|secret|auth|signature|password|pwd|appid|access_?key|subscription-key)"
            r"=([A-Za-z0-9_\-.~%+/]{8,300})"
        ),
        validate=lambda text: secret_value(text) and mixed_token(text),
        boundary=False,
        base_score=0.6,
        priority=78,
        source="credentials in the query of an address",
        examples=("https://api.example.org/v1?units=metric&appid=3f2a91bc77de00aa99bb11",),
        counter_examples=("https://example.org/?key=introduction&page=2",),
    ),
    Recognizer(
        name="path_credential",
        type="SECRET",
        pattern=r"(?i)\b(?:softlayer|blynk|infura|alchemy|moralis|quiknode|ankr|thingsboard)[A-Za-z0-9.\-/:]{1,60}/([A-Za-z0-9_\-]{20,80})",
        validate=mixed_token,
        boundary=False,
        base_score=0.6,
        priority=78,
        source="services that take a key in the path of an address",
        examples=("https://mainnet.infura.io/v3/9f86d081884c7d659a2feaa0c55ad015",),
        counter_examples=("https://docs.infura.io/networks/ethereum-mainnet-introduction",),
    ),
    Recognizer(
        name="bundle_credential",
        type="SECRET",
        pattern=r"(?i)BUNDLE_[A-Z0-9_]{3,80}[A-Z0-9_ ]{0,8}[=:][ ]?[\"']?([^\s\"':<$]{3,64}:[^\s\"';&|<$]{4,100})",
        validate=lambda text: not placeholder(text) and not text.startswith(("http", "git")),
        boundary=False,
        base_score=0.8,
        priority=82,
        source="bundle-config(1)",
        examples=("export BUNDLE_GEMS__EXAMPLE__ORG=cafebabe:deadbeef", 'BUNDLE_GEMS__EXAMPLE__ORG: "cafebabe:deadbeef"'),
        counter_examples=("BUNDLE_MIRROR: https://gems.example.org",),
    ),
    Recognizer(
        name="login_call",
        type="SECRET",
        pattern=(
            r"(?i)\b(?:auth|basicauth|httpbasicauth|login|authenticate|sign_?in|connect|wifi\.begin|passwordauthentication|(?:[a-z]{1,24})?credentials?)[ ]?(?:=[ ]?)?\([ ]?"
            r"[\"'][^\s\"'()]{1,60}[\"'][ ]?,[ ]?(?:[a-z_]{2,12}=)?[\"']([^\s\"']{5,100})[\"']"
        ),
        validate=lambda text: password_value(text) or word_password(text),
        boundary=False,
        base_score=0.7,
        priority=80,
        source="how programs hand over a user and a password",
        examples=("requests.get(url, auth=('admin', 'qwerty123'))", 'client.login("bob", "Tr0ub4dor9")'),
        counter_examples=("auth=('user', '<password>')", "connect('database', 'table')"),
    ),
    Recognizer(
        name="user_then_password",
        type="SECRET",
        pattern=r"(?i)(?:\B/user:[^\s]{1,60}|\bhtpasswd[ ](?:-[a-z]{1,6}[ ]){0,3}[^\s]{1,100}[ ][^\s]{1,60})[ ]{1,2}([^\s\"'`<>$|;&]{6,100})",
        validate=password_value,
        boundary=False,
        base_score=0.7,
        priority=80,
        source="net use, htpasswd(1)",
        examples=("net use Z: //srv/share /user:bob Pa55word!", "htpasswd -b file bob Tr0ub4dor"),
        counter_examples=("net use Z: //srv/share /user:bob *",),
    ),
    Recognizer(
        name="secure_string",
        type="SECRET",
        pattern=r"(?i)\bConvertTo-SecureString[ ](?:-[a-z]{2,12}[ ]){0,3}\\?[\"']?([^\s\"'$(\\\-][^\s\"'$\\]{3,100}(?:\$[^\s\"'$\\]{2,100})?)",
        validate=argument,
        boundary=False,
        base_score=0.8,
        priority=82,
        source="ConvertTo-SecureString in PowerShell",
        examples=('ConvertTo-SecureString "letmein" -AsPlainText -Force',),
        counter_examples=('ConvertTo-SecureString "<password>" -AsPlainText',),
    ),
    Recognizer(
        name="jwk_private_part",
        type="SECRET",
        pattern=r"\\?\"(?:d|k)\\?\"[ ]{0,2}:[ ]{0,2}\\?\"([A-Za-z0-9_\-]{32,700})",
        validate=mixed_token,
        boundary=False,
        base_score=0.7,
        priority=80,
        source="RFC 7518, section 6",
        examples=('{"kty": "EC", "d": "aB3dE5fG7hJ9kL2mN4pQ6rS8tU1vW0xYzCaB3dE5fG7"}',),
    ),
    Recognizer(
        name="user_and_password",
        type="SECRET",
        pattern=(
            r"(?i)\b(?:login|credentials?|creds|user(?:name)?[ ]?[/|&,][ ]?(?:password|passwd|pass|pw|pwd)|id[ ]?/[ ]?(?:pw|pass(?:word)?))"
            r"[ ]?(?:are|is|[:=])[ ]{0,2}[\"'`(]{0,2}([A-Za-z0-9._@\-]{2,40}[ ]?[/|:][ ]?[^\s\"'`<>{}(),/$]{5,64})"
        ),
        validate=lambda text: not placeholder(text) and password_value(text.replace("|", "/").replace(":", "/").rpartition("/")[2].strip()),
        boundary=False,
        base_score=0.6,
        priority=77,
        source="how people write a user and a password",
        examples=("login: admin / S3cure-pass", "user/password: admin/S3cure-pass", "ID/PW: admin/S3cure-pass"),
        counter_examples=("login: admin / administrator", "credentials: yes/no"),
    ),
)  # fmt: skip
