package csl

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// The columns that records carry something of. The others are in droppedColumns.
const (
	colID             = "_id"
	colSource         = "source"
	colEntityNumber   = "entity_number"
	colType           = "type"
	colPrograms       = "programs"
	colName           = "name"
	colAddresses      = "addresses"
	colNotice         = "federal_register_notice"
	colStart          = "start_date"
	colEnd            = "end_date"
	colVesselFlag     = "vessel_flag"
	colListURL        = "source_list_url"
	colAltNames       = "alt_names"
	colInformationURL = "source_information_url"
	colIDs            = "ids"
)

// header is the current one, of 29 columns. The older one lacks the first.
var header = []string{
	colID, colSource, colEntityNumber, colType, colPrograms, colName, "title", colAddresses, colNotice, colStart, colEnd,
	"standard_order", "license_requirement", "license_policy", "call_sign", "vessel_type", "gross_tonnage", "gross_registered_tonnage",
	colVesselFlag, "vessel_owner", "remarks", colListURL, colAltNames, "citizenships", "dates_of_birth", "nationalities", "places_of_birth",
	colInformationURL, colIDs,
}

// droppedColumns are what no record carries: what is about natural persons, and what has
// no place in a designation.
var droppedColumns = []string{
	"title", "standard_order", "license_requirement", "license_policy", "call_sign", "vessel_type", "gross_tonnage",
	"gross_registered_tonnage", "vessel_owner", "remarks", "citizenships", "dates_of_birth", "nationalities", "places_of_birth",
}

// schemas are the types in FollowTheMoney's words. Most sources give none: then a
// company and a natural person look alike, and LegalEntity may be either.
var schemas = map[string]string{
	"":           "LegalEntity",
	"entity":     "Organization",
	"individual": "Person",
	"vessel":     "Vessel",
	"aircraft":   "Airplane",
}

// typeOf is a schema in the list's words.
func typeOf(schema string) string {
	switch schema {
	case "Organization", "Company":
		return "Entity"
	case "Person":
		return "Individual"
	case "Airplane":
		return "Aircraft"
	case "Vessel":
		return schema
	}
	return ""
}

// splitList reads a column that has several values, "A; B; and C" as people write in it: a
// record has no use for the "and". The order stays, without repeats.
func splitList(text string) []string {
	var all []string
	for part := range strings.SplitSeq(text, ";") {
		part = strings.TrimSpace(part)
		for strings.HasPrefix(part, "and ") {
			part = strings.TrimSpace(part[len("and "):])
		}
		if part != "" && !slices.Contains(all, part) {
			all = append(all, part)
		}
	}
	return all
}

// parseAddress reads one address, whose last part is the country's code where the source
// names a country. "CA" at the end is Canada.
func parseAddress(text string) record.Address {
	text = strings.TrimRight(text, ", ")
	i := strings.LastIndexByte(text, ',')
	if code := strings.TrimSpace(text[i+1:]); rules1.IsCountry(code) {
		return record.Address{Full: strings.TrimRight(text[:max(i, 0)], ", "), Country: code}
	}
	return record.Address{Full: text}
}

// formatAddress writes one address so that it is read again as what it is.
func formatAddress(a record.Address) string {
	line := oneItem(listimport.AddressLine(a))
	if a.Country == "" || line == "" {
		return line + a.Country
	}
	return line + ", " + a.Country
}

// oneItem makes text one value of a column that has several: a semicolon would end it.
func oneItem(text string) string { return strings.ReplaceAll(text, ";", ",") }

// registrations are the types of numbers under which company registers have an
// organisation, as OFAC names them. Tax numbers, which may be a person's, and all others
// stay out.
var registrations = []string{
	"Registration Number", "Registration ID", "Public Registration Number", "Business Registration Number", "Business Registration Document #",
	"Business Number", "Company Number", "Commercial Registry Number", "C.R. No.", "Certificate of Incorporation Number",
	"Enterprise Number", "Matricula Mercantil No", "Registered Charity No.", "Trade License No.", "UK Company Number",
	"United Social Credit Code Certificate (USCCC)", "Unified Social Credit Code (USCC)",
}

// registrationNumber is the first one in the column ids: "TYPE, NUMBER[, COUNTRY]", in the
// older header "[COUNTRY, ]NUMBER, TYPE".
func registrationNumber(ids string) string {
	for _, id := range strings.Split(ids, ";") {
		parts := strings.Split(id, ",")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		n := len(parts)
		switch {
		case n < 2:
		case slices.Contains(registrations, parts[0]):
			return parts[1]
		case slices.Contains(registrations, parts[n-1]):
			return parts[n-2]
		}
	}
	return ""
}

// formatIDs writes a registration number so that it is found again, "" if it cannot be.
func formatIDs(number string) string {
	ids := registrations[0] + ", " + number
	if number == "" || registrationNumber(ids) != number {
		return ""
	}
	return ids
}

func parseDate(s *scanner, column string) (*record.Date, error) {
	text := s.value(column)
	if text == "" {
		return nil, nil
	}
	d, err := record.ParseDate(text)
	if err != nil {
		return nil, fmt.Errorf("column %s: %w", column, err)
	}
	return &d, nil
}

// urlOf is an address that a record may carry, else "".
func urlOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(text) > 2000 {
		return ""
	}
	return text
}
