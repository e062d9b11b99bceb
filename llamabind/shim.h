// The flat C surface of the engine, the only thing that Go sees of C++.
//
// Rules of this file: no C++ exception leaves a function; a failure gives a status and a text in bp_err; an array that Go
// passes in is read only during the call; a pointer that is returned stays valid until the next call on the same handle.
// One thread at a time per handle, but for bp_cancel_set.
#ifndef GGUFPRUNE_SHIM_H
#define GGUFPRUNE_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    BP_OK = 0,
    BP_BAD_INPUT,         // the caller's arguments do not fit the model or the session
    BP_LOAD,              // llama.cpp could not load the model
    BP_UNSUPPORTED_ARCH,  // the graph cannot be edited; the text says why
    BP_OOM,               // a buffer could not be allocated
    BP_DECODE,            // llama_decode failed
    BP_STALE_CACHE,       // a candidate was asked for without its boundary
    BP_HOOK_NOT_CALLED,   // llama.cpp computed a graph that we did not see, or more than one per batch
    BP_CANCELLED,         // the cancel flag was set
    BP_INTERNAL,          // a ggml assertion or an unexpected exception
} bp_status;

typedef struct {
    char text[1024];
} bp_err;

// ---- process ---------------------------------------------------------------------------------------------------------

// level: 1 debug, 2 info, 3 warn, 4 error, 5 continuation of the line before (ggml_log_level)
typedef void (*bp_log_fn)(int level, const char * text);
void         bp_init(bp_log_fn log);

bool         bp_stdout_closed(void); // when the process began

size_t    bp_n_devices(void);
// What a device does not tell stays "", -1 and 0.
void      bp_device(size_t i, const char ** name, const char ** desc, int * type, size_t * mem_free, size_t * mem_total);
bp_status bp_add_rpc(const char * endpoint, bp_err * err);

// ---- cancelling ------------------------------------------------------------------------------------------------------

// A flag that a running call polls; set, it makes the call end with BP_CANCELLED. It stays set until it is cleared. What it was passed to
// must not outlive it.
typedef struct bp_cancel bp_cancel;

bp_cancel * bp_cancel_new(void); // not set; NULL: no memory
void        bp_cancel_free(bp_cancel * c);
void        bp_cancel_set(bp_cancel * c); // from any thread
void        bp_cancel_clear(bp_cancel * c);

// ---- model -----------------------------------------------------------------------------------------------------------

typedef struct bp_model bp_model;

typedef struct {
    int32_t       n_gpu_layers; // < 0: all
    int32_t       main_gpu;
    const char *  split_mode;   // "none", "layer", "row"; NULL: "layer"
    const char ** devices;      // device names; "none" alone: no offload
    int32_t       n_devices;
    const float * tensor_split;
    int32_t       n_tensor_split;
    bool          no_mmap;
    bool          no_repack;    // keep weights in their file's layout, for any kernel
} bp_model_params;

bp_status bp_model_load(const char * path, const bp_model_params * params, bp_cancel * cancel, bp_model ** out, bp_err * err);
void      bp_model_free(bp_model * m);

typedef struct {
    int32_t  n_vocab, n_layer, n_embd, n_ctx_train;
    uint64_t n_params, size;
    bool     has_encoder, has_decoder, recurrent, diffusion;
    bool     has_vocab; // there is a tokenizer
    int32_t  bos, eos;
    bool     add_bos, add_eos;
    char     desc[128];
    char     arch[64];
} bp_model_info;
bp_status    bp_model_get_info(const bp_model * m, bp_model_info * info, bp_err * err);
const char * bp_model_chat_template(const bp_model * m); // NULL: none

// Both return the length needed, negated when cap is too small.
int32_t bp_tokenize(const bp_model * m, const char * text, int32_t len, int32_t * tokens, int32_t cap, bool add_special, bool parse_special);
int32_t bp_piece(const bp_model * m, int32_t token, char * buf, int32_t cap, bool special);
bool    bp_is_eog(const bp_model * m, int32_t token);

// The n weights of data as floats; n must be a multiple of the type's block. False: the type has no floats.
bool bp_to_float(int32_t ggml_type, const void * data, int64_t n, float * out);

// ---- quantising -------------------------------------------------------------------------------------------------------

// The i-th type that llama-quantize knows, in its order, by name (aliases included) and llama_ftype; NULL behind the last one.
const char * bp_ftype(int32_t i, int32_t * ftype);
// The ggml_type with that name, in upper or lower case; -1 if there is none.
int32_t      bp_ggml_type(const char * name);
const char * bp_ggml_type_name(int32_t type); // "" if there is none

typedef struct {
    const char *  name; // of the tensor
    const float * data; // an importance for each column, of a 3D tensor for each matrix's columns
    size_t        size;
} bp_imatrix_entry;

typedef struct {
    const char * pattern; // regular expression that is searched in a tensor's name
    int32_t      type;    // ggml_type
} bp_tensor_type;

typedef struct {
    const char * key;
    const char * text; // NULL: number counts
    int64_t      number;
} bp_quantize_kv;

typedef struct {
    int32_t ftype;          // llama_ftype
    int32_t n_threads;      // <= 0: all of the machine's
    int32_t output_type;    // ggml_type of output.weight; < 0: as ftype says
    int32_t embedding_type; // ggml_type of token_embd.weight; < 0: as ftype says
    bool    allow_requantize, leave_output, pure;
    bool    dry_run;        // choose types only: nothing is read but headers, and nothing is written
    const bp_imatrix_entry * imatrix;
    int32_t                  n_imatrix;
    const bp_tensor_type *   tensor_types;
    int32_t                  n_tensor_types;
    const bp_quantize_kv *   kvs; // added to the metadata
    int32_t                  n_kvs;
} bp_quantize_params;

// Told before tensor i of n (from 1) is quantised; type is the ggml_type chosen for it in a dry run, -1 otherwise.
typedef void (*bp_quantize_fn)(uintptr_t handle, int32_t i, int32_t n, const char * name, int32_t type);

// Quantises the file in to the file out. When cancel is set it ends before the next tensor, with BP_CANCELLED; what is
// written of out stays.
bp_status bp_quantize(const char * in, const char * out, const bp_quantize_params * params, bp_cancel * cancel,
                      bp_quantize_fn progress, uintptr_t handle, bp_err * err);
// ---- chat templates ------------------------------------------------------------------------------------------------------

typedef struct bp_chat bp_chat;

// Parses a template in Jinja; bos and eos are the texts of these tokens, "" for none. BP_BAD_INPUT: llama.cpp cannot read it.
bp_status bp_chat_open(const char * source, const char * bos, const char * eos, bp_chat ** out, bp_err * err);
void      bp_chat_close(bp_chat * c);

// Renders n messages, with the opening of the assistant's turn behind them on demand. text is not terminated and valid until
// the next call. BP_BAD_INPUT: the template refuses the messages; the text says why in its words.
bp_status bp_chat_apply(bp_chat * c, const char * const * roles, const char * const * contents, int32_t n, bool add_generation_prompt,
                        const char ** text, size_t * len, bp_err * err);

// ---- session: one context of a model -----------------------------------------------------------------------------------

typedef struct bp_session bp_session;

typedef struct {
    int32_t n_seq;      // sequences per batch
    int32_t seq_len;    // tokens per sequence
    int32_t n_batch;    // most tokens of one llama_decode; 0: n_seq*seq_len. An edited session always uses 0.
    int32_t n_ubatch;   // likewise of one graph
    int32_t n_threads;
    int32_t flash_attn; // -1 auto, 0 off, 1 on
    bool    unedited;   // a stock context: no hook, no analysis
} bp_session_params;

// The session's calls poll cancel.
bp_status bp_session_open(bp_model * m, const bp_session_params * params, bp_cancel * cancel, bp_session ** out, bp_err * err);
void      bp_session_close(bp_session * s);

// The blocks found in the graph, front to back. kind: 0 mixer, 1 FFN. Weights are tensor names.
int32_t      bp_n_blocks(const bp_session * s);
void         bp_block(const bp_session * s, int32_t i, int32_t * layer, int32_t * kind, int32_t * n_weights);
const char * bp_block_weight(const bp_session * s, int32_t i, int32_t w);

// The batch that the next calls evaluate: n_seq sequences of len tokens, one after the other, each from an empty memory.
// targets[i] is the token that position i must predict, -1 = not scored.
bp_status bp_set_batch(bp_session * s, const int32_t * tokens, const int32_t * targets, int32_t n_seq, int32_t len, bp_err * err);

// removed and candidate are arrays of n_blocks bytes, 1 = left out. nll receives n_seq*len values in nats, 0 where not scored.
// bp_eval_base also captures the stream before every block of need_boundary (NULL: none), for bp_eval_candidate, which starts
// there and is bit-identical to bp_eval_base with both sets left out.
bp_status bp_eval_base     (bp_session * s, const uint8_t * removed, const uint8_t * need_boundary, double * nll, bp_err * err);
bp_status bp_capture       (bp_session * s, const uint8_t * removed, const uint8_t * need_boundary, bp_err * err); // no losses: cheaper
bp_status bp_eval_candidate(bp_session * s, const uint8_t * candidate, double * nll, bp_err * err);

// Full logits of the scored positions of the batch, in order: n_rows x n_vocab floats (llama.cpp's own buffer).
// removed may be NULL in an unedited session.
bp_status bp_logits(bp_session * s, const uint8_t * removed, const float ** rows, int32_t * n_rows, bp_err * err);

// NLL of each scored position from full logits on the host, as llama-perplexity's log_softmax does it: the plain path.
bp_status bp_eval_plain(bp_session * s, const uint8_t * removed, double * nll, bp_err * err);

// The k likeliest tokens at every scored position of the batch in the unpruned model, likeliest first: (n_rows, k) each.
bp_status bp_top_k(bp_session * s, int32_t k, int32_t * ids, float * logp, bp_err * err);

// From here to the next batch the two bp_eval_* functions write KL divergences from this distribution in place of NLLs: the
// sum over the k tokens, and all others taken together as one. That is never more than the full divergence.
bp_status bp_set_reference(bp_session * s, int32_t k, const int32_t * ids, const float * logp, bp_err * err);

// Mean cosine between the stream before and after each block, and before and after the layer of each block, over all positions
// of the batch (ShortGPT's Block Influence is 1 minus it): n_blocks values each. Every position must be scored.
bp_status bp_influence(bp_session * s, double * block_cosine, double * layer_cosine, bp_err * err);

// ---- repair: blocks run alone, on a stream that the caller keeps (stream.cpp). Every position of the batch must be scored. ----------
// A stream is (positions, n_embd) floats. Boundary i lies before block i, boundary n_blocks behind the last one.

// Runs from boundary start with the stream in to boundary stop and writes the stream there. start -1 with in NULL: from the
// embeddings. taps are names of weights, one a line, NULL for none: what each is multiplied with is kept until the next decode.
bp_status bp_segment(bp_session * s, const uint8_t * removed, int32_t start, int32_t stop, const float * in, float * out,
                     const char * taps, bp_err * err);

// The shape of the last segment's i-th tap: k inputs, used experts for each position (0: one matrix for all), and the numbers of the
// weight of the norm behind it (0: there is none). refused, in the session's memory, says why it has none; "" if it has.
bp_status bp_tap_shape(bp_session * s, int32_t i, int64_t * k, int64_t * used, int64_t * norm, const char ** refused, bp_err * err);

// Reads it. With u = max(used, 1): features (positions, u, k), scale (positions, u): what the products are multiplied with before they
// enter the stream or a norm, bias_scale (positions, u): what their biases are, ids (positions, used), norm: its weight, with eps.
bp_status bp_tap_read(bp_session * s, int32_t i, float * features, float * scale, float * bias_scale, int32_t * ids, float * norm, float * eps,
                      bp_err * err);

// bp_eval_base from boundary start with the stream in.
bp_status bp_eval_from(bp_session * s, const uint8_t * removed, int32_t start, const float * in, double * loss, bp_err * err);

// acc (ka, kb) += a^T b, summed over n rows: a is (n, ka), b is (n, kb). On the device of the weight.
bp_status bp_product(bp_session * s, const char * weight, int64_t n, int64_t ka, const float * a, int64_t kb, const float * b, double * acc, bp_err * err);

// Overwrites a weight of the loaded model, for every session on it. data is as in the file, of the same type and shape.
bp_status bp_set_weight(bp_session * s, const char * name, const void * data, size_t size, bp_err * err);

// Rows of floats in a ggml type, importance (n_per_row, may be NULL) saying what columns matter. Returns the bytes written, 0: the type cannot be written.
size_t bp_from_float(int32_t ggml_type, const float * weights, int64_t n_rows, int64_t n_per_row, const float * importance, void * out);
size_t bp_row_size(int32_t ggml_type, int64_t n_per_row); // 0: no such row
// In an unedited session: one token of each of n sequences, at its position; position 0 forgets the sequence. rows: the logits of
// what follows each, n x n_vocab floats in llama.cpp's own buffer. What set_batch set is gone.
bp_status bp_step(bp_session * s, const int32_t * tokens, const int32_t * seqs, const int32_t * pos, int32_t n, const float ** rows, bp_err * err);

// Greedy continuation in an unedited session: appends up to n tokens, stops at an end-of-generation token. Returns the count.
bp_status bp_generate(bp_session * s, const int32_t * prompt, int32_t n_prompt, int32_t * out, int32_t n, int32_t * n_out, bp_err * err);

// ---- bench: a stock context on which speed is measured (bench.cpp) -----------------------------------------------------

typedef struct bp_bench bp_bench;

typedef struct {
    int32_t n_ctx, n_batch, n_ubatch; // tokens
    int32_t n_threads;
    int32_t flash_attn;               // as in bp_session_params
} bp_bench_params;

// The bench's calls poll cancel.
bp_status bp_bench_open(bp_model * m, const bp_bench_params * params, bp_cancel * cancel, bp_bench ** out, bp_err * err);
void      bp_bench_close(bp_bench * b);

// Runs n random tokens from an empty memory, in batches (a prompt) or one at a time (a generation); as llama-bench's pp and tg.
bp_status bp_bench_run(bp_bench * b, int32_t n, bool one_by_one, double * seconds, bp_err * err);

// Bytes of the context's memory (KV cache and recurrent states) on all devices.
uint64_t bp_bench_memory(const bp_bench * b);

#ifdef __cplusplus
}
#endif

#endif
