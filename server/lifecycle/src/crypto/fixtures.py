"""Makes the fixtures beside this file with other people's libraries.

    pip install pyjwt cryptography argon2-cffi        # and Debian's apache2-utils and openssl
    python fixtures.py
"""

import json
import os
import pathlib
import subprocess

import argon2
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

HERE = pathlib.Path(__file__).parent
RSA_KEY = rsa.generate_private_key(65537, 2048)
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


def signature(name):
    algorithm = jwt.get_algorithm_by_name(name)
    if name.startswith("HS"):
        key = os.urandom(int(name[2:]) // 8)
        jwk, signing = algorithm.to_jwk(key, as_dict=True), key
    else:
        if name == "EdDSA":
            signing = ed25519.Ed25519PrivateKey.generate()
        elif name in CURVES:
            signing = ec.generate_private_key(CURVES[name])
        else:
            signing = RSA_KEY
        jwk = algorithm.to_jwk(signing.public_key(), as_dict=True)
    token = jwt.encode({"sub": "ana", "iss": "https://issuer.example"}, signing, algorithm=name)
    message, _, encoded = token.rpartition(".")
    return {"algorithm": name, "jwk": jwk, "message": message, "signature": encoded}


def htpasswd(password, *flags):
    line = subprocess.run(
        ["htpasswd", "-nb", *flags, "user", password], check=True, capture_output=True, text=True
    ).stdout
    return line.split(":", 1)[1].strip()


def openssl(password, flag, *more):
    command = ["openssl", "passwd", flag, *more, password]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def passwords():
    for password in ["correct horse", "with:colon", "пароль-密碼", "x", "a" * 40]:
        hashes = {
            "bcrypt": htpasswd(password, "-B", "-C", "4"),
            "apr1": htpasswd(password, "-m"),
            "sha": htpasswd(password, "-s"),
            "sha256-crypt": openssl(password, "-5"),
            "sha512-crypt": openssl(password, "-6", "-salt", "rounds=2000$saltstring"),
            "argon2": argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(password),
        }
        for kind, value in hashes.items():
            yield {"kind": kind, "password": password, "hash": value}


def write(path, rows):
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (HERE / path).write_text(f"[\n{lines}\n]\n")


names = [f"{family}{bits}" for family in ("HS", "RS", "PS", "ES") for bits in (256, 384, 512)]
write("signature/jws.json", [signature(name) for name in [*names, "EdDSA"]])
write("password/hashes.json", list(passwords()))
