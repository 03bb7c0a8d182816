"""Tests how secrets in command lines are masked if they can only be recognized by the options of the program."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from reconciler.redact.request import masked, secret_places
from reconciler.redact.text import mask_sentence, mask_text
from tests.campaigns import in_one_test

HIDDEN = [
    ("curl -u a:b https://h", "curl -u a:(sensitive) https://h"),
    ("curl -sSu a:b https://h", "curl -sSu a:(sensitive) https://h"),
    ("curl -ua:b https://h", "curl -ua:(sensitive) https://h"),
    ("curl --user=a:b https://h", "curl --user=a:(sensitive) https://h"),
    ("curl --user 'a:b c' https://h", "curl --user 'a:(sensitive)' https://h"),
    ("curl -U a:b --proxy-user c:d https://h", "curl -U a:(sensitive) --proxy-user c:(sensitive) https://h"),
    ("curl 'https://h?a=1&b=2' -u a:b", "curl 'https://h?a=1&b=2' -u a:(sensitive)"),
    ("curl -u key1: https://h", "curl -u (sensitive): https://h"),
    ("curl -E client.pem:pw https://h", "curl -E client.pem:(sensitive) https://h"),
    ("curl -b session=abc https://h", "curl -b session=(sensitive) https://h"),
    ('curl -H "PRIVATE-TOKEN: abc" https://h', 'curl -H "PRIVATE-TOKEN: (sensitive)" https://h'),
    ('curl -H "apikey: abc" https://h', 'curl -H "apikey: (sensitive)" https://h'),
    ("curl -H 'Cookie: s=abc' https://h", "curl -H 'Cookie: (sensitive)' https://h"),
    ("curl -u $USER:b https://h", "curl -u $USER:(sensitive) https://h"),
    ("wget --header='X-Token: y' u", "wget --header='X-Token: (sensitive)' u"),
    ("http -a u:p h", "http -a u:(sensitive) h"),
    ("xh -A bearer -a tok h", "xh -A bearer -a (sensitive) h"),
    ("/usr/bin/curl -u a:b h", "/usr/bin/curl -u a:(sensitive) h"),
    ("docker login -u x -p y reg.io", "docker login -u x -p (sensitive) reg.io"),
    ("docker login -p'y z' reg.io", "docker login -p'(sensitive)' reg.io"),
    ("helm registry login -u x -p y reg.io", "helm registry login -u x -p (sensitive) reg.io"),
    ("az login --service-principal -u a -p x", "az login --service-principal -u a -p (sensitive)"),
    ("skopeo copy --src-creds a:b c d", "skopeo copy --src-creds (sensitive) c d"),
    ("echo s3 | docker login -u x --password-stdin h", "echo (sensitive) | docker login -u x --password-stdin h"),
    ("printf '%s' 's 3'|sudo -S ls", "printf '%s' '(sensitive)'|sudo -S ls"),
    ("echo a | tr b c | kinit u@R", "echo (sensitive) | tr b c | kinit u@R"),
    ("kinit u <<< s3", "kinit u <<< (sensitive)"),
    ("chpasswd <<< 'root:s3'", "chpasswd <<< 'root:(sensitive)'"),
    ("mysql -u root -phunter db", "mysql -u root -p(sensitive) db"),
    ("mysqldump -u mysql -p'a b' db", "mysqldump -u mysql -p'(sensitive)' db"),
    ("sudo -u mysql mysql -phunter", "sudo -u mysql mysql -p(sensitive)"),
    ("PGPASSWORD=x psql -h db", "PGPASSWORD=(sensitive) psql -h db"),
    ("sshpass -p x ssh -p 22 u@h", "sshpass -p (sensitive) ssh -p 22 u@h"),
    ("sshpass -px ssh -p 22 u@h", "sshpass -p(sensitive) ssh -p 22 u@h"),
    ("redis-cli -h h -a x ping", "redis-cli -h h -a (sensitive) ping"),
    ("mongosh -u a -p b db", "mongosh -u a -p (sensitive) db"),
    ("beeline -u 'jdbc:hive2://h:1/;a=x' -n u -p pw", "beeline -u 'jdbc:hive2://h:1/;a=x' -n u -p (sensitive)"),
    ("sqlcmd -S h -U sa -P pw -Q q", "sqlcmd -S h -U sa -P (sensitive) -Q q"),
    ("sqlplus scott/tiger@db", "sqlplus scott/(sensitive)@db"),
    ("ldapsearch -D cn=x -w pw -b y", "ldapsearch -D cn=x -w (sensitive) -b y"),
    ("lftp -u user,pw h", "lftp -u user,(sensitive) h"),
    ("smbclient -U user%pw //h/s", "smbclient -U user%(sensitive) //h/s"),
    ("openssl enc -d -aes256 -passin pass:x -in f", "openssl enc -d -aes256 -passin pass:(sensitive) -in f"),
    ("openssl enc -aes256 -k x -in f", "openssl enc -aes256 -k (sensitive) -in f"),
    ("ssh-keygen -t rsa -N x -f k", "ssh-keygen -t rsa -N (sensitive) -f k"),
    ("zip -P x a.zip b", "zip -P (sensitive) a.zip b"),
    ("7z x -px a.7z", "7z x -p(sensitive) a.7z"),
    ("htpasswd -bc f u p", "htpasswd -bc f u (sensitive)"),
    ("htpasswd -nb u p", "htpasswd -nb u (sensitive)"),
    ("vault login -no-print hvx", "vault login -no-print (sensitive)"),
    ("vault -namespace team login hvx", "vault -namespace team login (sensitive)"),
    ("vault kv put secret/app foo=x bar=y", "vault kv put secret/app foo=(sensitive) bar=(sensitive)"),
    ("mc alias set m https://h k s", "mc alias set m https://h (sensitive) (sensitive)"),
    ("kubectl create secret generic --from-literal=a=b", "kubectl create secret generic --from-literal=a=(sensitive)"),
    ("gh secret set NAME -b x", "gh secret set NAME -b (sensitive)"),
    ("aws configure set aws_session_token x --profile", "aws configure set aws_session_token (sensitive) --profile"),
    ("aws ssm put-parameter --name n --value x", "aws ssm put-parameter --name n --value (sensitive)"),
    ("az keyvault secret set --name n --value x", "az keyvault secret set --name n --value (sensitive)"),
    ("databricks secrets put s k --string-value x", "databricks secrets put s k --string-value (sensitive)"),
    ("hadoop credential create a -value x", "hadoop credential create a -value (sensitive)"),
    ("pulumi config set --secret db:pw x", "pulumi config set --secret (sensitive) (sensitive)"),
    ("poetry config http-basic.a u p", "poetry config http-basic.a u (sensitive)"),
    ("cargo login x", "cargo login (sensitive)"),
    ("aws s3 cp --sse-c AES256 --sse-c-key x a b", "aws s3 cp --sse-c AES256 --sse-c-key (sensitive) a b"),
    ("sonar-scanner -Dsonar.login=x", "sonar-scanner -Dsonar.login=(sensitive)"),
    ("npm config set //r.io/:_authToken x", "npm config set //r.io/:_authToken (sensitive)"),
    ("setx DB_PASSWORD x", "setx DB_PASSWORD (sensitive)"),
    ("twine upload -u __token__ -p x dist/*", "twine upload -u __token__ -p (sensitive) dist/*"),
    ("helm upgrade --set-string a=b,db.password=x y", "helm upgrade --set-string a=b,db.password=(sensitive) y"),
    ("export TOKEN=abc", "export TOKEN=(sensitive)"),
    ("apt-get update; curl -u a:b x", "apt-get update; curl -u a:(sensitive) x"),
    ("curl \\\n  -u a:b x", "curl \\\n  -u a:(sensitive) x"),
    ("curl -u \\\n  a:b x", "curl -u \\\n  a:(sensitive) x"),
    ('bash -c "curl -u a:b https://h" && echo -p x', 'bash -c "curl -u a:(sensitive) https://h" && echo -p x'),
    ('{"c": "bash -c \\"curl -u a:b h\\""}', '{"c": "bash -c \\"curl -u a:(sensitive) h\\""}'),
    ('"set -e\\ncurl -u a:b h"', '"set -e\\ncurl -u a:(sensitive) h"'),
    ("\"bash -c \\\"mysql -p'a b' x\\\"\"", "\"bash -c \\\"mysql -p'(sensitive)' x\\\"\""),
    ('command: ["curl", "-u", "a:b", "h"]', 'command: ["curl", "-u", "a:(sensitive)", "h"]'),
    ('["curl","-u","a:b","h"]', '["curl","-u","a:(sensitive)","h"]'),
    ("[curl, -u, a:b, h]", "[curl, -u, a:(sensitive), h]"),
]  # fmt: skip

SHOWN = [
    'curl -u "$USER:$PASS" https://h',
    'curl -u "${USER:-x}:${PASS}" https://h',
    "curl -u user https://h",
    "curl -u %USER%:%PASS% https://h",
    "curl -H 'Content-Type: application/json' -o out:put h",
    'curl -H "Authorization: Bearer $(cat token)" h',
    "curl -b cookies.txt h",
    "docker run -p 8080:80 -u 1000:1000 nginx",
    "docker run --name mongo -p 27017:27017 mongo",
    "docker run -p 127.0.0.1:6379:6379/tcp redis-cli",
    'docker login -p "$(aws ecr get-login-password)" h',
    "docker login -p $(cat f) h",
    "docker login -u x --password-stdin h",
    'echo "$TOKEN" | docker login -u x --password-stdin h',
    "echo done | cat; sudo -n ls",
    "mysql -u root -p db",
    'mysql -u root -p"$PW" db',
    "mysql --port 3306 -P 3306 db",
    "mkdir -p x",
    "mongosh db; mkdir -p x",
    "mongosh db\nmkdir -p x",
    "mongosh db && mkdir -p x",
    "ssh -p 22 user@host",
    "scp -P 22 f user@host:",
    "sshpass -e ssh -p 22 u@h",
    "sshpass -f pw.txt ssh u@h",
    "psql -h db -p 5432 -U user",
    "sqlplus / as sysdba",
    "openssl enc -pass env:PW -in f",
    "openssl enc -pass file:/run/pw -in f",
    "ssh-keygen -t rsa -N '' -f k",
    "htpasswd -c f user",
    "vault login -method=userpass username=x",
    "vault login -",
    "vault kv get secret/app",
    "aws configure set region eu-west-1",
    "aws secretsmanager get-secret-value --secret-id prod/db",
    "aws s3 cp -p s3://bucket/key .",
    "git config credential.helper store",
    "pulumi config set aws:region eu-west-1",
    "ffmpeg -pass 1 -i a b",
    "--tokens-per-minute 100",
    "git commit -m 'fix -p x'",
    "kubectl get secret n -o yaml",
    "kubectl create secret generic n --from-file=f",
    "--password-file x --token-file /run/secrets/t",
    "--password-command 'pass show x'",
    "--password $(cat f) y",
    "password=`cat f` y",
    "python train.py -p 8080 -u admin:read",
    "tar -xpf a.tar; cp -p a b; ps -u root:x",
    "curl the docs, then use -u for the user",
]


@in_one_test(("text", "expected"), HIDDEN, ids=[text[:40] for text, _ in HIDDEN])
def test_secrets_in_a_shell_s_text(text, expected):
    """The secret is masked in shell text, in JSON and in a list, at the positions that the program's manual
    documents."""
    assert expected == mask_text(text)
    assert expected == mask_text(expected)
    sentence = f"ValidationException: {text}"
    assert mask_sentence(sentence) == f"ValidationException: {expected}"


@in_one_test("text", SHOWN)
def test_other_arguments_are_shown(text):
    """Ports, folders, users without a password and references are shown, and so are the same options of other
    programs."""
    assert text == mask_text(text)


ARGUMENTS = [
    (["curl", "-u", "a:b", "h"], {2: "a:(sensitive)"}),
    (["/usr/bin/curl", "-sSu", "a:b c", "h"], {2: "a:(sensitive)"}),
    (["curl", "--user=a:b", "h"], {1: "--user=a:(sensitive)"}),
    (["curl", "-H", "PRIVATE-TOKEN: abc", "h"], {2: "PRIVATE-TOKEN: (sensitive)"}),
    (["docker", "login", "-u", "x", "-p", 123, "h"], {5: "(sensitive)"}),
    (["mysql", "-u", "root", "-pa b"], {3: "-p(sensitive)"}),
    (["sshpass", "-p", "x", "ssh", "-p", "22"], {2: "(sensitive)"}),
    (["aws", "configure", "set", "aws_secret_access_key", "x"], {4: "(sensitive)"}),
    (["openssl", "rsa", "-passin", "pass:x"], {3: "pass:(sensitive)"}),
    (["run", "--password", "x", "--password=y"], {2: "(sensitive)", 3: "--password=(sensitive)"}),
    (["bash", "-c", "curl -u a:b h; mysql -phunter"], {2: "curl -u a:(sensitive) h; mysql -p(sensitive)"}),
    (["env", "PGPASSWORD=x", "psql"], {1: "PGPASSWORD=(sensitive)"}),
    (["git", "clone", "https://x@host/r"], {2: "https://(sensitive)@host/r"}),
    (["curl", "-u", "$USER:$PASS"], {}),
    (["curl", "-u", "Ref::login"], {}),
    (["mkdir", "-p", "x"], {}),
    (["docker", "run", "-p", "8080:80"], {}),
    (["--password-file", "x", "-u", "a:b"], {}),
    (["curl"], {}),
    ([1, True, None, 2.5, "-p", "curl"], {}),
]  # fmt: skip


@in_one_test(("arguments", "hidden"), ARGUMENTS, ids=str)
def test_secrets_in_arguments(arguments, hidden):
    """In a list, the option and its value may be separate entries; each masked value is located."""
    request = {"containerOverrides": {"command": arguments}}
    expected = [hidden.get(index, argument) for index, argument in enumerate(arguments)]
    assert masked(request) == {"containerOverrides": {"command": expected}}
    assert secret_places(request) == [("containerOverrides", "command", index) for index in hidden]


@given(
    command=st.sampled_from(["curl -u u:{}", "docker login -p {}", "mysql -p{}", "redis-cli -a {}", "vault login {}"]),
    around=st.sampled_from(["{}", 'sh -c "{}"', "sh -c '{}; true'", "{} && echo", "a=b {} | cat", "exec {}\nnext"]),
    secret=st.text(alphabet="abcXYZ0129!#^*+_/.~", min_size=4, max_size=30).map(lambda text: "q7" + text),
)  # fmt: skip
def test_a_secret_argument_is_hidden_whatever_surrounds_it(command, around, secret):
    """Quotes, operators and other commands around a command line do not reveal its secret, and neither does JSON."""
    text = around.format(command.format(secret))
    assert secret not in mask_text(text)
    assert secret not in mask_text(json.dumps({"command": text}))
    assert secret not in str(masked({"command": ["sh", "-c", text]}))
