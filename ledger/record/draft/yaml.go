package draft

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// parseYAML reads one document; JSON that is JSON is not left to YAML, which
// reads some of it otherwise.
func parseYAML(raw []byte) (*yaml.Node, error) {
	if v, err := schema.ParseJSON(raw); err == nil {
		return yamlNodeOf(v), nil
	}
	dec := yaml.NewDecoder(strings.NewReader(string(raw)))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, record.Refuse(record.Malformed, "reading record: the file is empty; docket new KIND prints a template")
	case err != nil:
		return nil, record.Refuse(record.Malformed, "reading record: %s", yamlFault(raw, err))
	}
	if dec.Decode(&more) == nil {
		return nil, record.Refuse(record.Malformed, "reading record: line %d: a second document; one record a file", more.Line)
	}
	return doc.Content[0], nil
}

// joinedColon is a line on which no space stands between a name and its value, which YAML reads
// as one word.
var joinedColon = regexp.MustCompile(`^\s*(?:- )?([A-Za-z]+):([^\s/].*)$`)

// yamlFault says on which line YAML cannot be read, and why, as far as the text shows what people
// mistype: a tab that indents, and no space after a colon.
func yamlFault(raw []byte, err error) string {
	n := 0
	for line := range strings.Lines(string(raw)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]; strings.Contains(indent, "\t") && strings.TrimSpace(line) != "" {
			return fmt.Sprintf("line %d: a tab stands at its beginning: YAML is indented by spaces alone", n)
		}
		if m := joinedColon.FindStringSubmatch(line); m != nil {
			return fmt.Sprintf("line %d: write a space after the colon: %s: %s", n, m[1], m[2])
		}
	}
	said := strings.TrimPrefix(err.Error(), "yaml: ")
	if !strings.HasPrefix(said, "line ") {
		said = "line 1: " + said // where its parser counts from 0, and leaves that out
	}
	return said
}

func yamlNodeOf(v any) *yaml.Node {
	switch v := v.(type) {
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: v}
	case int64:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v, 10)}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range v {
			n.Content = append(n.Content, yamlNodeOf(item))
		}
		return n
	}
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, m := range v.(schema.Object) {
		n.Content = append(n.Content, yamlNodeOf(m.Name), yamlNodeOf(m.Value))
	}
	return n
}

type yamlMember struct {
	name  string
	value *yaml.Node
}

// members are a mapping's, each name once; they note where each stands.
func (w *shortFormDecoder) members(n *yaml.Node, pointer string) ([]yamlMember, bool) {
	if n.Kind != yaml.MappingNode {
		return nil, false
	}
	var out []yamlMember
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		at := pointer + "/" + schema.EscapePointer(name.Value)
		switch {
		case name.Kind != yaml.ScalarNode || name.Tag == "!!merge":
			w.fault(name, pointer, "has a name that is not plain text")
		case seen[name.Value]:
			w.fault(name, at, "stands here twice")
		case value.Tag == "!!null" && joinedColon.MatchString(name.Value):
			m := joinedColon.FindStringSubmatch(name.Value)
			w.fault(name, pointer+"/"+m[1], "needs a space after its colon: %s: %s", m[1], m[2])
		default:
			w.lines[at] = name.Line
			seen[name.Value] = true
			out = append(out, yamlMember{name.Value, value})
		}
	}
	return out, true
}
