package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/customernode"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server/customers"
)

func (a *app) customersInit() *cobra.Command {
	var party, origin, recipients, retention, logKey string
	var protect bool
	c := &cobra.Command{
		Use:   "init --dir C --party P --trust T (--identity FILE | --recipients FILE)",
		Short: "Begin a customer log: its key, its vault, a programme to begin with",
		Long: `Begins a private customer log in C, for a party that is enrolled on the ledger of the
trust directory T. It makes the key that signs the log's checkpoints, the vault, and a
programme to be adapted (C/programme: what has to be known of whom, and by when).

The vault is encrypted to an age key. With --identity a new one is made, written to FILE,
under a password if --protect says so: keep it apart from C and from its backups, and a
copy in a safe. With --recipients the keys are your own, plug-ins' among them (a YubiKey,
a KMS): FILE has one public key a line, and each opens the vault alone. Who has neither
reads nothing in C, and whoever loses all of them has lost the log.

With --log-key an Ed25519 key that a KMS keeps signs the checkpoints (sigstore's plugin of
that name must be in $PATH), and no key lies in C.

Nothing is published yet. It prints what the log's first customer-log record will say, and
the next steps.`,
		Example: `  docket customers init --dir C --party acme-cloud --trust trust --identity vault.key --protect
  docket customers init --dir C --party acme-cloud --trust trust --recipients recipients.txt`,
		Args: cobra.NoArgs,
	}
	f := a.customersFlags(c).withJSON(c)
	t := a.trustFlags(c)
	c.Flags().StringVar(&party, "party", "", "the provider whose customers they are, as enrolled")
	c.Flags().StringVar(&origin, "origin", "", "the log's name for ever; default: the ledger's, /customers/ and the party")
	c.Flags().StringVar(&retention, "retention", "P2Y", "how long a customer is kept after closing, before docket customers erase may erase them")
	c.Flags().StringVar(&f.identity, "identity", "", "make the vault's secret key, and write it to this new file")
	c.Flags().BoolVar(&protect, "protect", false, "with --identity: under a password, asked for or in $"+passwordEnv)
	c.Flags().StringVar(&recipients, "recipients", "", "file of the public keys of age that open the vault, one a line")
	c.Flags().StringVar(&logKey, "log-key", "", "URI of an Ed25519 key that a KMS keeps and that signs the log's checkpoints; without it one is made, in C/log.key")
	c.MarkFlagRequired("party")
	c.MarkFlagsMutuallyExclusive("identity", "recipients")
	c.MarkFlagsOneRequired("identity", "recipients")
	c.RunE = func(c *cobra.Command, _ []string) error {
		ownerOnly()
		if f.dir == "" {
			return usageError("no directory for the customer log").hint("name one with --dir DIR or $%s", customersEnv)
		}
		if protect && f.identity == "" {
			return usageError("--protect goes with --identity")
		}
		s, err := a.customersSettings(t, party, origin)
		if err != nil {
			return err
		}
		if logKey != "" && !isKMS(logKey) {
			return usageError("--log-key %s: want the URI of a key in a KMS, like awskms:///alias/customers", logKey).hint("without --log-key one is made, in C/log.key")
		}
		s.LogKey = logKey
		if err := s.Retention.UnmarshalText([]byte(retention)); err != nil {
			return usageError("--retention: %w", err)
		}
		if _, err := os.Stat(filepath.Join(f.dir, customernode.SettingsFile)); err == nil {
			return refusal("%s holds a customer log already", f.dir).hint("docket customers stats --dir %s shows it; a new log takes another directory", f.dir)
		}
		all, err := f.recipients(c.Context(), recipients, protect)
		if err != nil {
			return err
		}
		if !vault.HasPostQuantum(all) {
			a.logf("docket: warning: a quantum computer could read the vault one day, from a copy that is made today: age-keygen -pq makes keys (age1pq1…) of which that is not known")
		}
		zone, err := s.Location()
		if err != nil {
			return refusal("%w", err)
		}
		vkey, err := customernode.Create(c.Context(), vfs.Default, f.dir, s, all, record.DateOf(time.Now(), zone))
		if errors.Is(err, fs.ErrExist) {
			return refusal("%w", err).hint("an earlier init was cut off, or its vault was kept: move %s away and begin anew", f.dir)
		} else if err != nil {
			return err
		}
		if f.asJSON {
			return a.printJSON(map[string]any{"party": s.Party, "ledger": s.Ledger, "origin": s.Origin, "vkey": vkey})
		}
		a.printf("The first customer-log record of %s will say\n  origin  %s\n  vkey    %s\n", s.Party, s.Origin, vkey)
		a.logf("next:\n  adapt %s, which says what has to be known of whom\n  docket customers serve --dir %[2]s &\n  docket customers unlock --dir %[2]s --identity %[3]s\n  docket customers add --dir %[2]s customers.csv\n  docket customers discloser --help      # two keys, whose signatures let a disclosure out\n  docket customers publish --dir %[2]s --key FILE      # once a period, from a timer\n  docket customers backup-keys --dir %[2]s --to DIR\nby the programme nothing is late for its first days: transition in it says how many",
			filepath.Join(f.dir, customernode.ProgrammeDir), f.dir, orWords(f.identity, "FILE"))
		return nil
	}
	return c
}

func orWords(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// customersSettings are those of a new log, from the ledger that its party is enrolled on.
func (a *app) customersSettings(t *trustFlags, party, origin string) (s customernode.Settings, err error) {
	trust, err := t.open()
	if err != nil {
		return s, err
	}
	defer trust.Close()
	reg, err := trust.Register()
	if errors.Is(err, client.ErrNoCopy) {
		return s, refusal("%w", err).hint("docket sync --trust %s", trust.Dir())
	} else if err != nil {
		return s, err
	}
	v, err := trust.ViewAt(reg.Size())
	if err != nil {
		return s, err
	}
	if _, err := v.Party(party, time.Now()); err != nil {
		var absent *view.AbsentError
		if errors.As(err, &absent) {
			return s, refusal("%s is not enrolled on this ledger, as far as the copy has it", party).hint("docket list parties --trust %s names who is; docket sync fetches what is newer", trust.Dir())
		}
		return s, err
	}
	dir, err := filepath.Abs(trust.Dir())
	if err != nil {
		return s, err
	}
	charter, err := v.Charter()
	if err != nil {
		return s, err
	}
	if origin == "" {
		policy, err := trust.Policy(math.MaxUint64)
		if err != nil {
			return s, err
		}
		origin = policy.Origins()[0] + "/customers/" + party
	}
	return customernode.Settings{Version: 1, Party: party, Ledger: trust.Ledger(), Origin: origin, Trust: dir, Zone: charter.Charter.TimeZone}, nil
}

// recipients are the public keys that open a new vault: those of a file, or of a key that is
// made.
func (f *customersFlags) recipients(ctx context.Context, name string, protect bool) ([]vault.Recipient, error) {
	if name != "" {
		raw, err := f.app.readFile(name)
		if err != nil {
			return nil, err
		}
		all, err := vault.ParseRecipients(raw, f.app.asker(ctx, name))
		if err != nil {
			return nil, usageError("%s: %w", name, err)
		}
		return all, nil
	}
	file, public, err := vault.NewIdentity()
	if err != nil {
		return nil, err
	}
	defer clear(file)
	if protect {
		password, err := f.app.newPassword(ctx, f.identity)
		if err != nil {
			return nil, err
		}
		if len(password) == 0 {
			return nil, refusal("--protect, and no password").hint("give one on a terminal, or in $%s", passwordEnv)
		}
		if file, err = vault.ProtectIdentity(file, string(password)); err != nil {
			return nil, err
		}
	}
	if err := writeNew(f.identity, file, 0o600); err != nil {
		return nil, err
	}
	f.app.logf("wrote %s, the secret key of the vault: keep it apart from %s, and a copy in a safe", f.identity, f.dir)
	return vault.ParseRecipients([]byte(public), nil)
}

func (a *app) customersAccess() *cobra.Command {
	c := &cobra.Command{
		Use:   "access VERB",
		Short: "Say who may ask over the network",
		Long: `Says who may ask a customer log over the network: by a key, which is shown once and of
which a hash is kept, or by a certificate, of which the fingerprint is. Roles are writer
(sends events), reader (finds and shows), compliance (besides: queue, periods, holds,
erasure, screening, the vault) and discloser (prepares disclosures). Whoever comes over the
socket in the directory has all of them.

docket customers serve reads them when it starts.`,
	}
	c.AddCommand(a.customersAccessAdd(), a.customersAccessList(), a.customersAccessRemove())
	return c
}

func (a *app) customersAccessAdd() *cobra.Command {
	var roles []string
	var certificate string
	c := &cobra.Command{
		Use:   "add NAME --role ROLE [--certificate FILE]",
		Short: "Let a program or a person ask, by a key or a certificate",
		Example: `  docket customers access add signup --dir C --role writer > signup.key
  docket customers access add officer-1 --dir C --role compliance --role reader --certificate officer-1.pem`,
		Args: cobra.ExactArgs(1),
	}
	f := a.customersFlags(c)
	c.Flags().StringArrayVar(&roles, "role", nil, "writer, reader, compliance or discloser; may be repeated")
	c.Flags().StringVar(&certificate, "certificate", "", "PEM file of the client's certificate; without it a key is made, and printed once")
	c.MarkFlagRequired("role")
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := f.settings()
		if err != nil {
			return err
		}
		one := customers.Client{Name: args[0]}
		for _, text := range roles {
			r, err := oneOf("role", text, customers.Roles())
			if err != nil {
				return err
			}
			one.Roles = append(one.Roles, r)
		}
		key := ""
		if certificate != "" {
			if one.CertificateSHA256, err = a.fingerprint(certificate); err != nil {
				return err
			}
		} else {
			key, one.KeySHA256 = customers.NewKey()
		}
		s.Clients = append(s.Clients, one)
		if err := customers.CheckClients(s.Clients); err != nil {
			return usageError("%w", err).hint("docket customers access list --dir %s names who may ask", f.dir)
		}
		if err := s.Write(vfs.Default, f.dir); err != nil {
			return err
		}
		if key != "" {
			a.printf("%s\n", key)
			a.logf("that is the key of %s, shown this once: it sends it as Authorization: Bearer KEY, or names a file of it with --access", args[0])
		}
		a.logf("it holds from the next start of docket customers serve on")
		return nil
	}
	return c
}

// fingerprint is that of a certificate in a PEM file.
func (a *app) fingerprint(name string) (string, error) {
	raw, err := a.readFile(name)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "CERTIFICATE" {
		return "", wrongFileError(name, raw, "a PEM certificate", nil)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", usageError("%s: %w", name, err)
	}
	if time.Now().After(cert.NotAfter) {
		a.logf("docket: warning: the certificate in %s has expired, on %s: it lets nobody in", name, cert.NotAfter.UTC().Format(time.DateOnly))
	}
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:]), nil
}

func (a *app) customersAccessList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "Show who may ask", Example: "  docket customers access list --dir C", Args: cobra.NoArgs}
	f := a.customersFlags(c).withJSON(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := f.settings()
		if err != nil {
			return err
		}
		if f.asJSON {
			return printJSONLines(a, s.Clients)
		}
		if len(s.Clients) == 0 {
			a.logf("nobody may ask over the network; docket customers access add lets one")
		}
		t := a.table()
		for _, one := range s.Clients {
			by := "key"
			if one.CertificateSHA256 != "" {
				by = "certificate " + one.CertificateSHA256
			}
			texts := make([]string, len(one.Roles))
			for i, r := range one.Roles {
				texts[i] = string(r)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", printable(one.Name), strings.Join(texts, ","), by)
		}
		return t.Flush()
	}
	return c
}

func (a *app) customersAccessRemove() *cobra.Command {
	c := &cobra.Command{Use: "remove NAME", Short: "Let one ask no more", Example: "  docket customers access remove signup --dir C", Args: cobra.ExactArgs(1)}
	f := a.customersFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := f.settings()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(s.Clients, func(one customers.Client) bool { return one.Name == args[0] })
		if i < 0 {
			return refusal("%s may not ask as it is", args[0]).hint("docket customers access list --dir %s names who may", f.dir)
		}
		s.Clients = slices.Delete(s.Clients, i, i+1)
		if err := s.Write(vfs.Default, f.dir); err != nil {
			return err
		}
		a.logf("it holds from the next start of docket customers serve on")
		return nil
	}
	return c
}
