// Release makes the release archive for this platform: the stripped program with its manual page, completions, documents and licences,
// as dist/ggufprune-VERSION-OS-ARCH.tar.gz with its SHA-256 beside it.
//
//	release [-o FOLDER] [-check]
//
// The archive is reproducible: the same commit, Go, C++ compiler and build of llama.cpp give the same bytes, in any folder and at
// any time. Files are sorted and belong to nobody, and their time is SOURCE_DATE_EPOCH, by default the last commit's. With -check it
// is made a second time, with nothing in Go's build cache, and the two are compared.
//
// The version is the tag that the commit has, else that of the changelog with the commit behind it. Go's stamp of the version
// control is left out (-buildvcs=false), since a copy of the source without its history must give the same program.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const versionVariable = "github.com/ggufprune/ggufprune/internal/version.release"

func main() {
	var o options
	flag.StringVar(&o.out, "o", "dist", "`folder` of the archive")
	flag.BoolVar(&o.check, "check", false, "make it twice and compare")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

type options struct {
	out   string
	check bool
}

func run(ctx context.Context, o options) error {
	version, when, err := release(ctx)
	if err != nil {
		return err
	}
	warnNative()
	name := fmt.Sprintf("ggufprune-%s-%s-%s", version, runtime.GOOS, runtime.GOARCH)
	data, err := build(ctx, name, version, when, os.Getenv("GOCACHE"))
	if err != nil {
		return err
	}
	if o.check {
		cache, err := os.MkdirTemp("", "ggufprune-dist-cache-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(cache)
		again, err := build(ctx, name, version, when, cache)
		if err != nil {
			return err
		}
		if string(again) != string(data) {
			return errors.New("a second build gave other bytes: the archive is not reproducible")
		}
		fmt.Fprintln(os.Stderr, "dist: a second build, from an empty cache, gave the same bytes")
	}
	return publish(filepath.Join(o.out, name+".tar.gz"), data)
}

// build makes the program and its archive. cache is Go's build cache, "" for the usual one.
func build(ctx context.Context, name, version string, when time.Time, cache string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "ggufprune-dist-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "ggufprune")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -X "+versionVariable+"="+version, "-o", program, ".")
	cmd.Env = os.Environ()
	if cache != "" {
		cmd.Env = append(cmd.Env, "GOCACHE="+cache)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	files, err := contents(ctx, program)
	if err != nil {
		return nil, err
	}
	return archive(name, files, when)
}

// contents returns the archive's files by their paths in it.
func contents(ctx context.Context, program string) (map[string]file, error) {
	files := map[string]file{}
	for path, args := range map[string][]string{
		"share/man/man1/ggufprune.1":                     {"man"},
		"share/bash-completion/completions/ggufprune":    {"completion", "bash"},
		"share/zsh/site-functions/_ggufprune":            {"completion", "zsh"},
		"share/fish/vendor_completions.d/ggufprune.fish": {"completion", "fish"},
	} {
		text, err := exec.CommandContext(ctx, program, args...).Output()
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", filepath.Base(program), strings.Join(args, " "), err)
		}
		files[path] = file{data: text}
	}
	docs := []string{"LICENSE", "README.md", "CHANGELOG.md"}
	for _, pattern := range []string{"docs/*.md", "docs/img/*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		docs = append(docs, paths...)
	}
	for _, path := range docs {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%w; run dist in the root of the source", err)
		}
		files[filepath.ToSlash(path)] = file{data: data}
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	files["bin/ggufprune"] = file{data: binary, executable: true}
	licences, err := licences(ctx, program)
	if err != nil {
		return nil, err
	}
	files["THIRD_PARTY_LICENSES"] = file{data: licences}
	return files, nil
}

var changelogVersion = regexp.MustCompile(`(?m)^## (\d+\.\d+\.\d+)`)

// release returns the version and the time of the source.
func release(ctx context.Context) (string, time.Time, error) {
	var when time.Time
	seconds := os.Getenv("SOURCE_DATE_EPOCH")
	if seconds == "" {
		var err error
		if seconds, err = git(ctx, "log", "-1", "--format=%ct"); err != nil {
			return "", when, fmt.Errorf("%w; set SOURCE_DATE_EPOCH where there is no git history", err)
		}
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || n < 0 {
		return "", when, fmt.Errorf("SOURCE_DATE_EPOCH is %q; give seconds since 1970", seconds)
	}
	when = time.Unix(n, 0).UTC()
	if tag, err := git(ctx, "describe", "--tags", "--match", "v[0-9]*", "--dirty"); err == nil {
		return tag, when, nil
	}
	log, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return "", when, err
	}
	m := changelogVersion.FindSubmatch(log)
	if m == nil {
		return "", when, errors.New("CHANGELOG.md has no version")
	}
	version := "v" + string(m[1]) + "-dev"
	if commit, err := git(ctx, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"); err == nil {
		version += "." + commit
	}
	return version, when, nil
}

func git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", args...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}

// warnNative says so where the program is for this machine's processor and no older one.
func warnNative() {
	cache, err := os.ReadFile("third_party/llama.cpp/build/CMakeCache.txt")
	if err == nil && strings.Contains(string(cache), "\nGGML_NATIVE:BOOL=ON\n") {
		fmt.Fprintln(os.Stderr, `dist: llama.cpp is built for this machine's processor; for others: LLAMA_CMAKE_FLAGS="-DGGML_NATIVE=OFF" make dist`)
	}
}

// publish writes the archive and its hash, each under its name only when it is complete.
func publish(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	sum := fmt.Sprintf("%x  %s\n", sha256.Sum256(data), filepath.Base(path))
	for _, f := range []struct {
		path string
		data []byte
	}{{path, data}, {path + ".sha256", []byte(sum)}} {
		tmp := f.path + ".tmp"
		if err := os.WriteFile(tmp, f.data, 0o644); err != nil {
			return err
		}
		if err := os.Rename(tmp, f.path); err != nil {
			return err
		}
	}
	fmt.Printf("%s\n%s", path, sum)
	return nil
}
