package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"maps"
	"slices"
	"time"
)

// file is a file of the archive.
type file struct {
	data       []byte
	executable bool
}

// archive returns a gzipped tar of files under a folder. Its bytes depend on nothing but the arguments.
func archive(folder string, files map[string]file, when time.Time) ([]byte, error) {
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		f := files[path]
		h := &tar.Header{
			Format: tar.FormatUSTAR, Typeflag: tar.TypeReg, Name: folder + "/" + path, Size: int64(len(f.data)), Mode: 0o644, ModTime: when,
		}
		if f.executable {
			h.Mode = 0o755
		}
		if err := t.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := t.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
