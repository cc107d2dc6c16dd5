package record

import "unicode/utf8"

// plainASCII are the bytes that stand for themselves in a string and are ASCII.
var plainASCII = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// string scans a string; the usual one, without an escape, is a slice of the text.
func (s *scanner) string() (string, error) {
	s.pos++
	start, ascii := s.pos, true
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		if plainASCII[c] {
			s.pos++
			continue
		}
		switch {
		case c == '"':
			v := s.text[start:s.pos]
			if !ascii && !utf8.ValidString(v) {
				return "", s.errorf(start, "a string that is not valid UTF-8")
			}
			s.pos++
			return v, nil
		case c == '\\':
			return s.stringWithEscapes(start)
		case c < ' ':
			return "", s.errorf(s.pos, "a control character in a string")
		case c >= utf8.RuneSelf:
			ascii = false
		}
		s.pos++
	}
	return "", s.errorf(s.pos, "a string without an end")
}

// stringWithEscapes scans the rest of a string, from its first escape on.
func (s *scanner) stringWithEscapes(start int) (string, error) {
	b := append(make([]byte, 0, 2*(s.pos-start)+16), s.text[start:s.pos]...)
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			if !utf8.Valid(b) {
				return "", s.errorf(start, "a string that is not valid UTF-8")
			}
			s.pos++
			return string(b), nil
		case c == '\\':
			r, err := s.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
		case c < ' ':
			return "", s.errorf(s.pos, "a control character in a string")
		default:
			b = append(b, c)
			s.pos++
		}
	}
	return "", s.errorf(s.pos, "a string without an end")
}

// escape scans one escape; two surrogates are one (RFC 8259 section 7).
func (s *scanner) escape() (rune, error) {
	start := s.pos
	if s.pos+1 >= len(s.text) {
		return 0, s.errorf(start, "a string without an end")
	}
	s.pos += 2
	switch c := s.text[start+1]; c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		r, ok := s.hex4()
		switch {
		case !ok:
			return 0, s.errorf(start, `want four hexadecimal digits after \u`)
		case r < 0xD800 || r > 0xDFFF:
			return r, nil
		case r < 0xDC00 && s.literal(`\u`):
			if low, ok := s.hex4(); ok && low >= 0xDC00 && low <= 0xDFFF {
				return (r-0xD800)<<10 | (low - 0xDC00) + 0x10000, nil
			}
		}
		return 0, s.errorf(start, "half of a surrogate pair")
	}
	return 0, s.errorf(start, "an escape that JSON does not have")
}

func (s *scanner) hex4() (rune, bool) {
	if len(s.text)-s.pos < 4 {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s.text[s.pos : s.pos+4]) {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	s.pos += 4
	return r, true
}
