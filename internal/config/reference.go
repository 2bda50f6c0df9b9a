package config

import _ "embed"

// Reference is a configuration that names every key, with a comment on each.
//
//go:embed reference.yaml
var Reference string

// Minimal is the smallest configuration that serves anybody: one network, one
// router, and ports known from their Interfaces alone.
//
//go:embed minimal.yaml
var Minimal string
