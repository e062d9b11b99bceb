package ollama

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/ollama/ollama/api"
	"github.com/ollama/ollama/envconfig"
	"github.com/ollama/ollama/types/model"
	"golang.org/x/mod/semver"
)

const (
	// oldest is the first version that takes a model's files by their digests (POST /api/create with "files").
	oldest = "0.5.5"
	// logprobsSince is the first version that returns log-probabilities of what it generates.
	logprobsSince = "0.12.11"
	// patience is how long a server may take to say its version.
	patience = 10 * time.Second
)

// Server is a running Ollama.
type Server struct {
	Version string
	URL     string
	client  *api.Client
}

// Connect finds the running Ollama and makes sure that it is new enough. What is wrong is said in one line.
func Connect(ctx context.Context) (*Server, error) {
	return connect(ctx, envconfig.Host())
}

func connect(ctx context.Context, at *url.URL) (*Server, error) {
	s := &Server{URL: at.String(), client: api.NewClient(at, http.DefaultClient)}
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var err error
	if s.Version, err = s.client.Version(within); err != nil {
		return nil, s.unreachable(ctx, err)
	}
	if !semver.IsValid("v" + s.Version) {
		return nil, fmt.Errorf("what answers at %s is no Ollama: it says that its version is %q; check OLLAMA_HOST", s.URL, s.Version)
	}
	if !s.atLeast(oldest) {
		return nil, fmt.Errorf("the Ollama at %s is version %s, and %s or later is needed; update it (https://ollama.com/download)", s.URL, s.Version, oldest)
	}
	return s, nil
}

// atLeast reports whether the server is of that version or a later one. 0.0.0 is one that was built from a checkout.
func (s *Server) atLeast(version string) bool {
	return s.Version == "0.0.0" || semver.Compare("v"+s.Version, "v"+version) >= 0
}

// HasLogprobs reports whether the server returns log-probabilities.
func (s *Server) HasLogprobs() bool { return s.atLeast(logprobsSince) }

// unreachable says why no version came.
func (s *Server) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var (
		status  api.StatusError
		dns     *net.DNSError
		timeout net.Error
		why     string
	)
	switch {
	case errors.As(err, &status):
		return fmt.Errorf("what answers at %s is no Ollama: GET /api/version gives %d; check OLLAMA_HOST", s.URL, status.StatusCode)
	case errors.Is(err, syscall.ECONNREFUSED):
		why = "connection refused"
	case errors.As(err, &dns):
		why = "no such host"
	case errors.As(err, &timeout) && timeout.Timeout():
		why = fmt.Sprintf("no answer within %v", patience)
	default:
		why = reason(err)
	}
	return fmt.Errorf("no Ollama answers at %s: %s; start it with: ollama serve, or set OLLAMA_HOST to where it runs", s.URL, why)
}

// reason is the innermost part of an HTTP client's error, in one line.
func reason(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// CheckName returns name as Ollama shows it, with its tag, or an error if no model can be called so.
func CheckName(name string) (string, error) {
	n := model.ParseName(name)
	if !n.IsValid() {
		return "", fmt.Errorf("%q cannot be the name of an Ollama model; give one such as llama3.2:pruned", name)
	}
	return n.DisplayShortest(), nil
}

// Has reports whether the server has a model of this name.
func (s *Server) Has(ctx context.Context, name string) (bool, error) {
	_, err := s.client.Show(ctx, &api.ShowRequest{Model: name})
	var status api.StatusError
	if errors.As(err, &status) && status.StatusCode == http.StatusNotFound {
		return false, nil
	}
	if err != nil {
		return false, s.failed("asked for model "+name, err)
	}
	return true, nil
}

// failed is the error for a request that the server did not fulfil.
func (s *Server) failed(what string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("the Ollama at %s, %s, says: %s", s.URL, what, reason(err))
}
