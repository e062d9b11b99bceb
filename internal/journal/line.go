package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// wrap returns the line of a record whose JSON is body.
func wrap(body []byte) []byte {
	return fmt.Appendf(nil, "{\"crc32c\":\"%08x\",\"r\":%s}\n", crc32.Checksum(body, castagnoli), body)
}

// line returns a record as a line of the journal.
func line(record any) ([]byte, error) {
	body, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return wrap(body), nil
}

// unwrap returns the record's bytes of a line, false if the line is not what was written.
func unwrap(text []byte) ([]byte, bool) {
	const head, tail = len(`{"crc32c":"`) + 8 + len(`","r":`), len("}\n")
	if len(text) < head+tail {
		return nil, false
	}
	body := text[head : len(text)-tail]
	return body, bytes.Equal(text, wrap(body))
}
