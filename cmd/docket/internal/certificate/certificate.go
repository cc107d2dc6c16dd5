// Package certificate reloads a server's TLS certificate when its files are renewed in
// place, as ACME clients do, without a restart.
package certificate

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// ExpiresSoon is how long before its end a certificate is warned of.
const ExpiresSoon = 30 * 24 * time.Hour

// ReloadingConfig is a server's TLS with the certificate of these PEM files, which must load now:
// a renewed one is used within a minute. Of one that has expired, or is about to, the log is told
// when it is loaded.
func ReloadingConfig(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	f := &reloader{certFile: certFile, keyFile: keyFile, log: log}
	if err := f.load(); err != nil {
		return nil, fmt.Errorf("loading the TLS certificate: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: f.current}, nil
}

// reloader is a certificate that is read anew when its files change. mu guards what is
// below it.
type reloader struct {
	certFile, keyFile string
	log               *slog.Logger

	mu       sync.Mutex
	cert     *tls.Certificate
	modTimes [2]time.Time // modification times of the two files
	checked  time.Time
}

// current returns the newest certificate that loaded. A renewal that does not
// load leaves the old one in use and is told to the log.
func (f *reloader) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.checked) >= time.Minute {
		if err := f.load(); err != nil {
			f.checked = now
			f.log.Error("renewing the TLS certificate; the old one stays in use", "err", err)
		}
	}
	return f.cert, nil
}

// warnOfEnd says so of a certificate that nobody will believe, or soon nobody.
func (f *reloader) warnOfEnd(end time.Time) {
	until := end.UTC().Format(time.RFC3339)
	switch left := time.Until(end); {
	case left <= 0:
		f.log.Warn("the TLS certificate has expired: whoever checks it does not connect; renewed files are taken up within a minute", "file", f.certFile, "until", until)
	case left < ExpiresSoon:
		f.log.Warn("the TLS certificate expires soon: see to its renewal; renewed files are taken up within a minute", "file", f.certFile, "until", until)
	}
}

func (f *reloader) load() error {
	var stamp [2]time.Time
	for i, name := range []string{f.certFile, f.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		stamp[i] = info.ModTime()
	}
	if f.cert == nil || stamp != f.modTimes {
		cert, err := tls.LoadX509KeyPair(f.certFile, f.keyFile)
		if err != nil {
			return err
		}
		f.cert, f.modTimes = &cert, stamp
		f.warnOfEnd(cert.Leaf.NotAfter)
	}
	f.checked = time.Now()
	return nil
}
