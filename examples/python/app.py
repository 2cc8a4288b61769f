# SPDX-License-Identifier: Apache-2.0
"""An application that signs users in with Truecaller, through Flask and Authlib."""

import os
import secrets

from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, render_template_string, session, url_for

port = int(os.environ.get("PORT", "3000"))
issuer = os.environ.get("ISSUER", "http://127.0.0.1:9440")

app = Flask(__name__)
# Signs the session cookie: set it in production, or a restart signs everybody out.
app.secret_key = os.environ.get("SESSION_SECRET") or secrets.token_hex()
# In production: app.config["SESSION_COOKIE_SECURE"] = True
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"

truecaller = OAuth(app).register(
    "truecaller",
    client_id=os.environ.get("CLIENT_ID", "example-python"),
    client_secret=os.environ.get("CLIENT_SECRET", "example-python-secret"),
    server_metadata_url=issuer + "/.well-known/openid-configuration",
    client_kwargs={"scope": "openid profile phone", "code_challenge_method": "S256"},
)

PAGE = """<!doctype html><title>Example</title>
{% if error %}
<p id="error">{{ error }}<p><a href="/login">Try again</a>
{% elif user %}
<p>Name: <b id="name">{{ user.name }}</b><p>Phone number: <b id="phone">{{ user.phone }}</b>
<form method="post" action="/logout"><button>Sign out</button></form>
{% else %}
<a href="/login">Sign in with Truecaller</a>
{% endif %}"""


@app.get("/")
def home():
    return render_template_string(PAGE, user=session.get("user"))


@app.get("/login")
def login():
    return truecaller.authorize_redirect(url_for("callback", _external=True))


@app.get("/callback")
def callback():
    token = truecaller.authorize_access_token()  # checks state, nonce and the ID token
    claims = token["userinfo"]
    session.clear()
    # sub is the key of their account: numbers change hands, and phone_number is then missing.
    session["user"] = {"sub": claims["sub"], "name": claims["name"], "phone": claims.get("phone_number", "")}
    session["id_token"] = token["id_token"]
    return redirect(url_for("home"))


@app.post("/logout")
def logout():
    id_token = session.get("id_token")
    session.clear()
    # Ends the session at the provider, too. Without the ID token, the provider asks the user.
    return truecaller.logout_redirect(
        post_logout_redirect_uri=url_for("home", _external=True), id_token_hint=id_token, client_id=truecaller.client_id
    )


@app.errorhandler(OAuthError)
def failed(error):  # such as access_denied: the user cancelled
    return render_template_string(PAGE, error=f"{error.error}: {error.description}"), 400


if __name__ == "__main__":
    app.run("localhost", port)
