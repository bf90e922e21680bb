"""A small support desk whose assistant is guarded by aiguard: real sign-in, two roles, one page, a JSON API.

* ``app``: the application and its AI routes; the lines that guard it are the point of the example.
* ``accounts``: who can sign in, and the defence of forms against other sites.
* ``tickets``: a few sample tickets.
* ``aiguard.toml``: what the desk's assistant may do.

Run it with ``python -m examples.flask_app`` (or ``make serve``). It talks to any OpenAI-compatible server named by
``OPENAI_BASE_URL`` and ``OPENAI_API_KEY``; without a key it starts the local model server beside itself.
"""
