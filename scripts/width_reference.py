#!/usr/bin/env python3
"""Runs the PyTorch reference for FFN channels once and writes what it did as JSON.

    pip install torch tokenizers numpy
    width_reference.py PROTO MODEL-F16.gguf WIKITEXT2_TEST.txt OUT.json [--data DIR] [--gguf FITTED.gguf]

PROTO is the folder of the reference, with its modules net, bpe and width. DIR has the texts: calib_instruct.txt and
wiki_valid_part.txt to fit on, heldout_instruct.txt to judge on beside WikiText-2's test part; the default is PROTO/../data.
Every FFN keeps two thirds of its channels, as in the reference's own trial of that name. MODEL should be an F16 file, so that
the other program sees the same weights. It runs on one thread, about 8 minutes for 135M parameters.

`bench width -parts reference` reads OUT. It has these fields; tokens are ids, and nothing starts with BOS:

    length      tokens of a sequence
    sequences   what the fit sees, in order
    held        indices of those that only choose lambda
    kept        for each layer, the channels that stay, ascending
    lambda      for each output projection ("0 ffn", "1 attn"), the ridge that was chosen; null where it stayed as it was
    texts       what is judged on: name, windows, and the perplexity of the whole and of the fitted model (all targets in a
                window count)

OUT holds the texts' tokens, so it does not belong in a repository. --gguf also writes the fitted model, for other programs
(needs pip install gguf).
"""
import argparse
import copy
import json
import pathlib
import re
import sys
import time

LENGTH = 512  # tokens of a sequence
FITTED = 24  # sequences of each text to fit on
JUDGED = 16  # windows of each text to judge on
SKIPPED = 20  # windows of WikiText-2's test part that come before those
PARTS = 4  # one sequence of so many is held back
WIDTH = (2, 3)  # the part of the channels that stays
LOGGED = re.compile(r"\((\d+), '(attn|ffn)'\) keep \d+ lam (\S+)")  # a line of the reference's log


def arguments():
    p = argparse.ArgumentParser(description="run the PyTorch reference for FFN channels, and write what it did as JSON")
    p.add_argument("proto", type=pathlib.Path)
    p.add_argument("model")
    p.add_argument("wikitext")
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--data", type=pathlib.Path)
    p.add_argument("--gguf")
    return p.parse_args()


def main():
    args = arguments()
    sys.path.insert(0, str(args.proto.resolve()))
    import torch
    import bpe
    import net
    import width

    torch.set_num_threads(1)
    data = args.data or args.proto.resolve().parent / "data"
    whole = net.Net(args.model)
    tokenizer = bpe.load(whole.kv)

    def windows(path, most, skipped=0):
        ids = tokenizer.encode(pathlib.Path(path).read_text()).ids[skipped * LENGTH :]
        n = min(most, len(ids) // LENGTH)
        return torch.tensor(ids[: n * LENGTH]).view(n, LENGTH)

    x = torch.cat([windows(data / name, FITTED) for name in ("calib_instruct.txt", "wiki_valid_part.txt")])
    x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(1))]
    judged = {
        "wiki": windows(args.wikitext, JUDGED, SKIPPED),
        "instr": windows(data / "heldout_instruct.txt", JUDGED),
    }

    # The reference selects channels front to back, one FFN after the other, and tells only how many.
    kept = []
    select = width.select

    def recorded(*a, **k):
        chosen = select(*a, **k)
        kept.append(chosen.tolist())
        return chosen

    width.select = recorded
    lambdas = {}

    def log(line):
        print(line, f"{time.process_time() - start:.0f} CPU s", flush=True)
        layer, kind, value = LOGGED.search(line).groups()
        lambdas[f"{layer} {kind}"] = None if value == "None" else float(value)

    fitted = copy.deepcopy(whole)
    start = time.process_time()
    fractions = {layer: WIDTH[0] / WIDTH[1] for layer in range(whole.L)}
    width.prune_width(fitted, whole, frozenset(), fractions, x, held=1 / PARTS, log=log)
    spent = time.process_time() - start
    if len(kept) != whole.L:
        sys.exit(f"the reference cut {len(kept)} FFNs of {whole.L}")

    texts = []
    for name, w in judged.items():
        t = {"name": name, "windows": w.tolist(), "whole": whole.ppl(w), "fitted": fitted.ppl(w)}
        print(f"{name}: {t['whole']:.4f} -> {t['fitted']:.4f}, {len(w)} windows")
        texts.append(t)
    out = {
        "length": LENGTH,
        "sequences": x.tolist(),
        "held": list(range(0, len(x), PARTS)),
        "kept": kept,
        "lambda": lambdas,
        "texts": texts,
        "cpu_s": spent,
    }
    args.out.write_text(json.dumps(out))
    print(f"{spent:.0f} CPU s; {args.out}")
    if args.gguf:
        import export

        export.export(fitted, args.model, args.gguf)


if __name__ == "__main__":
    main()
