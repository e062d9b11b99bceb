// Package shape says how wide the FFNs of a smaller model are, and which whole blocks it lacks: the candidates that a job fits and
// judges. It is pure.
package shape
