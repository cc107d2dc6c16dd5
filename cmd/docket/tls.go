package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/certificate"
)

// tlsFlags are the flags that make a verb serve TLS.
type tlsFlags struct{ cert, key string }

func (t *tlsFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&t.cert, "tls-cert", "", "PEM file of the certificate and its chain")
	c.Flags().StringVar(&t.key, "tls-key", "", "PEM file of the certificate's private key")
}

// config follows the files; nil without them. It is asked for before anybody is told
// that something serves.
func (t *tlsFlags) config(log *slog.Logger) (*tls.Config, error) {
	switch {
	case t.cert == "" && t.key == "":
		return nil, nil
	case t.cert == "" || t.key == "":
		return nil, usageError("--tls-cert and --tls-key go together")
	}
	c, err := certificate.ReloadingConfig(t.cert, t.key, log)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usageError("--tls-cert and --tls-key: %w", err)
	} else if err != nil {
		return nil, refusal("--tls-cert and --tls-key: %w", err)
	}
	return c, nil
}

// urlOf is where what listens is reached, with that TLS or none.
func urlOf(l net.Listener, c *tls.Config) string {
	if c == nil {
		return fmt.Sprintf("http://%s", l.Addr())
	}
	return fmt.Sprintf("https://%s", l.Addr())
}
