package engine

// Token is a vocabulary index, as llama.cpp's llama_token.
type Token = int32

// Tokenizer is a model's vocabulary.
type Tokenizer interface {
	// Tokenize returns the tokens of text. addSpecial adds what the model wants at the ends (BOS, EOS); parseSpecial reads
	// the names of special tokens in text as these tokens.
	Tokenize(text string, addSpecial, parseSpecial bool) ([]Token, error)
	BOS() Token   // -1 if the model has none
	AddBOS() bool // whether the model wants BOS at the start of a text
	AddEOS() bool // whether the model wants EOS at the end of a text
}

// Message is one turn of a conversation, as chat templates take it.
type Message struct {
	Role    string // system, user, assistant, or what else the text calls it
	Content string
}

// ChatTemplate is a model's chat template, ready to render. One goroutine at a time may use it.
type ChatTemplate interface {
	// Apply renders messages. openReply adds what comes before the assistant's next words. The text has the names of special
	// tokens in it, BOS among them where the template writes it. An error with code [BadInput] says why the template refuses
	// the messages.
	Apply(messages []Message, openReply bool) (string, error)
	Close()
}
