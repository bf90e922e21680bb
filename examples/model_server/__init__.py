"""The local model server: a deterministic responder, not a model, that speaks OpenAI's and Anthropic's wire formats.

It lets the examples, the demo and the tests run a real client against a real server without a key or a network. Its
answers repeat parts of what it was sent, so that tokens come back and can be turned into what they stand for, and now and
then it makes an address up, as models do. It writes every request it receives to a file, byte for byte: that record
is the proof of what left the application.

* ``responder``: what it answers, a pure function of the text.
* ``wire``: the shapes of Chat Completions and Responses, whole and streamed; ``messages``: those of Anthropic's Messages.
* ``server``: HTTP, the record, and faults on request.

Run it with ``python -m examples.model_server --port 8089 --record received.jsonl``.
"""
