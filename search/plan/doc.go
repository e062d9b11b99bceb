// Package plan has the outcome of a search and the form that it has in a file. A [Plan] is the nested order of removals with every
// score:
//
//	{
//	  "format": "ggufprune-plan", "version": 1,
//	  "tool", "llama_cpp": versions that made it
//	  "model":       {"path", "sha256", "arch", "params", "size_bytes", "blocks": mask of all blocks,
//	                  "ffn_channels": widths of the FFNs by layer; only where a mask keeps a part of a block}
//	  "calibration": {"description", "tokens_sha256", "convention", "n_ctx", "sequences", "tokens"}
//	  "metric":      "ppl" | "kld"
//	  "settings":    {"strategy", "kind", "seed", "confidence", "tolerance", "finalists", "admit", "audit_every", "sequences",
//	                  "goal": {"blocks" | "ratio" | "size_bytes" | "speedup" | "max_ppl_ratio" | "max_kld"}}
//	  "base_score":  score of the whole model
//	  "audit":       see [search.Audit]; of strategies that race
//	  "refine":      see [search.Refined]; of the strategy refine
//	  "shapes":      [{"name", "keeps", "params_removed_ratio", "size_bytes", "loss", "chosen"}, ...]; where FFNs are narrowed
//	  "kinds":       [{"name", "sequences", "ppl_before", "ppl_after"}, ...]; of the fit's text there
//	  "steps": [{"index": from 1, "removed": mask, "score", "params_removed", "params_removed_ratio", "size_bytes", "speedup",
//	             "cost", "paper_cost",
//	             "candidates": [{"block": mask, "score", "sequences"}, ...]}, ...]
//	}
//
// Everything in a step but "removed" and "candidates" describes the model after the step: all removals so far together.
// Scores are lower for better models; null is a score that is not finite. size_bytes is 0 or absent where no output size
// could be predicted. "cost" is what the step's decision took and "paper_cost" what the paper's procedure would have, in block-tokens
// (see [search.Cost]). A candidate's score with "sequences" is an estimate from that many sequences, else it was measured on all. Masks are
// written as in package blockmask; a step of kind "layer" removes two blocks at once.
//
// The package is pure: package planfile reads and writes the file.
package plan
