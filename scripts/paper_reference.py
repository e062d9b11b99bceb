#!/usr/bin/env python3
"""Runs BlockPruner's search (arXiv 2406.10594) in PyTorch on a GGUF model, and writes every score as JSON.

    pip install -r paper_requirements.txt
    paper_reference.py MODEL.gguf DOCUMENTS.json OUT.json [--steps 8] [--threads 1] [--batch 512]

The algorithm is the paper's, the code our own. In each step, for every attention and FFN block that is left, it measures the
perplexity of the model without the blocks removed so far and without this one, on all documents; then it removes the block without
which the perplexity was lowest. On a tie that is the one in the lower layer, attention before FFN. A document is one sequence, whose
loss is the mean over the tokens it predicts; the perplexity is exp of the mean over documents.

The model runs in transformers, in float32, on the file's dequantised weights. That takes architectures of which transformers reads
GGUF files, and whose layers are one attention and one FFN, each behind its norm (llama, mistral, qwen2, qwen3). Needs Python 3.11 or later.

DOCUMENTS has token ids: {"documents": [[1, 15, ...], ...]}. `bench paper` writes it, runs this and compares. OUT has these fields; what
is not finite is null:

    model_sha256   of the file
    threads        that PyTorch ran on
    batch          most tokens that run at once: documents of one length are put together
    documents      as they were given
    versions       of Python, PyTorch, transformers and gguf
    load_cpu_s     CPU seconds to read the file, dequantise it and build the model
    whole          perplexity (ppl) of the whole model, and CPU seconds (cpu_s) to measure it; they are in no step
    steps          for each: candidates ([{block, ppl}], in order), the block removed, and CPU seconds (cpu_s)

CPU seconds are of the process with all its threads. OUT is written after every step. It holds the text's tokens, so it does not belong
in a repository.
"""
import argparse
import hashlib
import json
import math
import os
import pathlib
import platform
import sys
import time

# The names in a transformers layer of each kind of block: its norm and what computes it.
BLOCKS = {"attn": ("input_layernorm", "self_attn"), "ffn": ("post_attention_layernorm", "mlp")}


def arguments():
    p = argparse.ArgumentParser(description="run the paper's search in PyTorch, and write every score as JSON")
    p.add_argument("model", type=pathlib.Path)
    p.add_argument("documents", type=pathlib.Path)
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--steps", type=int, default=8, help="blocks to remove")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--batch", type=int, default=512, help="most tokens that run at once")
    return p.parse_args()


args = arguments()
os.environ["OMP_NUM_THREADS"] = str(args.threads)  # before anything starts OpenMP
os.environ["HF_HUB_OFFLINE"] = "1"  # the model is a local file
os.environ["TQDM_DISABLE"] = "1"

import torch
import transformers
from importlib.metadata import version
from torch import nn
from torch.nn import functional


class NoAttention(nn.Module):
    """Stands in for an attention whose output is zero, so that the stream stays as it is."""

    def forward(self, hidden_states, *_, **__):
        return torch.zeros_like(hidden_states), None


class NoFFN(nn.Module):
    """The same for an FFN."""

    def forward(self, hidden_states):
        return torch.zeros_like(hidden_states)


NOTHING = {"attn": NoAttention(), "ffn": NoFFN()}


def load(path):
    """Returns the model in float32."""
    model = transformers.AutoModelForCausalLM.from_pretrained(str(path.resolve().parent), gguf_file=path.name, dtype=torch.float32)
    parts = {name for pair in BLOCKS.values() for name in pair}
    for layer in model.model.layers:
        if {name for name, _ in layer.named_children()} != parts:
            sys.exit(f"the layers of {model.config.model_type} have other parts than {', '.join(sorted(parts))}; take another model")
    return model.eval()


def take_out(model, block):
    """Takes a block and its norm out of the model, and returns what puts them back."""
    kind, layer = block
    at = model.model.layers[layer]
    norm, compute = BLOCKS[kind]
    was = getattr(at, norm), getattr(at, compute)
    setattr(at, norm, nn.Identity())
    setattr(at, compute, NOTHING[kind])

    def put_back():
        setattr(at, norm, was[0])
        setattr(at, compute, was[1])

    return put_back


def batches(documents, most):
    """Puts documents of one length together, most tokens at once at the most: nothing is padded."""
    out = []
    for length in sorted({len(d) for d in documents}):
        same = [d for d in documents if len(d) == length]
        n = max(1, most // length)
        out += [torch.tensor(same[i : i + n]) for i in range(0, len(same), n)]
    return out


@torch.inference_mode()
def perplexity(model, batched):
    """Returns exp of the mean over documents of their mean losses; infinity where that is not finite."""
    losses = []
    for ids in batched:
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
        loss = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        losses += loss.view(len(ids), -1).double().mean(dim=1).tolist()
    mean = math.fsum(losses) / len(losses)
    # exp of more overflows; NaN is not below it either
    return math.exp(mean) if mean < 700 else math.inf


def finite(x):
    return x if math.isfinite(x) else None


def search(model, batched, steps, done):
    """Removes blocks one at a time, and calls done with each step."""
    left = [(kind, layer) for layer in range(len(model.model.layers)) for kind in BLOCKS]
    for _ in range(min(steps, len(left))):
        start = time.process_time()
        scores = []
        for block in left:
            put_back = take_out(model, block)
            scores.append(perplexity(model, batched))
            put_back()
        best = left[scores.index(min(scores))]  # the first of equals
        take_out(model, best)
        names = [f"{kind}:{layer}" for kind, layer in left]
        done(
            {
                "candidates": [{"block": name, "ppl": finite(ppl)} for name, ppl in zip(names, scores)],
                "removed": f"{best[0]}:{best[1]}",
                "cpu_s": time.process_time() - start,
            }
        )
        left.remove(best)


def main():
    torch.set_num_threads(args.threads)
    documents = json.loads(args.documents.read_text())["documents"]
    if not documents or min(map(len, documents)) < 2:
        sys.exit(f"{args.documents} has no documents, or one without a token to predict")
    with args.model.open("rb") as f:
        sha = hashlib.file_digest(f, "sha256").hexdigest()
    start = time.process_time()
    model = load(args.model)
    out = {
        "model_sha256": sha,
        "threads": args.threads,
        "batch": args.batch,
        "documents": documents,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("torch", "transformers", "gguf")}},
        "load_cpu_s": time.process_time() - start,
        "steps": [],
    }
    batched = batches(documents, args.batch)
    perplexity(model, batched[:1])  # the first run also sets PyTorch up
    start = time.process_time()
    whole = perplexity(model, batched)
    out["whole"] = {"ppl": finite(whole), "cpu_s": time.process_time() - start}
    print(f"PyTorch: whole model {whole:.4f}, {out['whole']['cpu_s']:.1f} CPU s", flush=True)

    def done(step):
        out["steps"].append(step)
        args.out.write_text(json.dumps(out, allow_nan=False))
        print(f"PyTorch: step {len(out['steps'])} of {args.steps}: {step['removed']}, {step['cpu_s']:.1f} CPU s", flush=True)

    search(model, batched, args.steps, done)


if __name__ == "__main__":
    main()
