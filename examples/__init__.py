"""Runnable examples, and the demo that proves what the guard does. Nothing here is part of the installed package.

* ``flask_app``: a support desk (Flask, flask-login) whose assistant is guarded by aiguard.
* ``model_server``: the local model server, a deterministic responder that speaks the wire formats of OpenAI and Anthropic.
* ``data``: sample support messages with labelled personal data and secrets, and the script that builds them.
* ``demo``: sends the messages through the desk and searches everything that came out of it for the labelled values.
"""
