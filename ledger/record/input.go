package record

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// inputFormat is the format that the member names of a JSON object suggest.
type inputFormat int

const (
	inputOther inputFormat = iota
	inputEnvelope
	inputBundle
	inputEntry
	inputStatement
	inputShortForm
)

func detectFormat(object schema.Object) inputFormat {
	has := func(name string) bool { return object.Lookup(name) != nil }
	switch {
	case has("admitted") && has("envelope"):
		return inputEntry
	case has("mediaType") && (has("verificationMaterial") || has("dsseEnvelope") || has("messageSignature")):
		return inputBundle
	case has("payload") || has("payloadType") || has("signatures"):
		return inputEnvelope
	case has("_type") || has("predicateType"):
		return inputStatement
	case has("kind"):
		return inputShortForm
	}
	return inputOther
}

var (
	shortFormStart = regexp.MustCompile(`(?m)^kind:[ \t]`)
	policyLog      = regexp.MustCompile(`(?m)^log[ \t]+[^ \t]+\+[0-9a-f]{8}\+`)
)

// DescribeInput says in a few words what a file is, for a refusal that got another than
// it wanted: "a PEM public key", "a receipt (tlog-proof)". It is a guess for an error
// message and never a check.
func DescribeInput(raw []byte) string {
	if rest, ok := bytes.CutPrefix(raw, []byte("\ufeff")); ok {
		what := DescribeInput(rest)
		if !looksLikeJSON(rest) && shortFormStart.Match(rest) {
			return what // YAML may begin so (YAML 1.2.2 section 5.2)
		}
		return what + " behind a byte order mark"
	}
	text := bytes.TrimSpace(raw)
	if block, _ := pem.Decode(raw); block != nil {
		switch {
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return "a PEM private key"
		case strings.HasSuffix(block.Type, "PUBLIC KEY"):
			return "a PEM public key"
		case block.Type == "CERTIFICATE":
			return "a PEM certificate"
		}
		return fmt.Sprintf("a PEM block of type %q", block.Type)
	}
	switch {
	case len(text) == 0:
		return "an empty file"
	case bytes.HasPrefix(text, []byte("-----BEGIN ")):
		return "a damaged or incomplete PEM block"
	case looksLikeJSON(text):
		return describeObject(text)
	case bytes.HasPrefix(text, []byte("c2sp.org/tlog-proof@")):
		return "a receipt (tlog-proof)"
	case bytes.HasPrefix(text, []byte("docket-answer/")):
		return "an answer (docket show --prove)"
	case bytes.HasPrefix(text, []byte("docket/split-view@")):
		return "evidence (split-view)"
	case policyLog.Match(text):
		return "a tlog-policy"
	case bytes.HasPrefix(text, []byte("ssh-")), bytes.HasPrefix(text, []byte("ecdsa-sha2-")):
		return "an SSH public key"
	case bytes.HasPrefix(raw, []byte("\xff\xfe")), bytes.HasPrefix(raw, []byte("\xfe\xff")):
		return "UTF-16 text"
	case !utf8.Valid(text):
		return "binary data"
	case bytes.Contains(text, []byte("\n\u2014 ")):
		return "a checkpoint or another signed note"
	case shortFormStart.Match(text):
		return "an unsigned record in its short form"
	case text[0] == '<':
		return "HTML or XML"
	}
	return "text of a kind that docket does not know"
}

func describeObject(text []byte) string {
	value, err := schema.ParseJSON(text)
	switch {
	case err != nil && (bytes.Contains(text, []byte(`"payloadType"`)) || bytes.Contains(text, []byte(`"dsseEnvelope"`))):
		return "a damaged or incomplete envelope"
	case err != nil:
		return "JSON that breaks the rules"
	}
	object, ok := value.(schema.Object)
	if !ok {
		if list, _ := value.([]any); len(list) > 0 {
			if first, _ := list[0].(schema.Object); first.Lookup("pointer") != nil && first.Lookup("salt") != nil {
				return "the salts of a record"
			}
		}
		return "JSON, but no object"
	}
	switch detectFormat(object) {
	case inputEnvelope:
		return "a DSSE envelope"
	case inputBundle:
		return "a Sigstore bundle"
	case inputEntry:
		return "an entry of a ledger"
	case inputStatement:
		return "an unsigned statement"
	case inputShortForm:
		return "an unsigned record in its short form"
	}
	return "JSON of a kind that docket does not know"
}

func looksLikeJSON(raw []byte) bool {
	text := bytes.TrimLeft(raw, " \t\r\n")
	return len(text) > 0 && (text[0] == '{' || text[0] == '[')
}
