"""A streaming chat whose model is guarded by aiguard: real sign-in, two roles, one page, answers as server-sent events.

* ``app``: the application and its AI route; the lines that guard it are the point of the example.
* ``accounts``: who can sign in, and the defence against other sites.
* ``chats``: what was said, in memory.
* ``aiguard.toml``: what the chat may do.

Run it with ``python -m examples.starlette_app`` (or ``make serve APP=starlette``). It talks to any OpenAI-compatible server named by
``OPENAI_BASE_URL`` and ``OPENAI_API_KEY``; without a key it starts the local model server beside itself.
"""
