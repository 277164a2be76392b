package loyalty

import _ "embed"

// ProgrammeJSONSchema is the JSON Schema (draft 2020-12) of programme files, for editors. It says what a file may hold;
// [ParseProgramme] alone says whether a file is right, and why not.
//
//go:embed programme.schema.json
var ProgrammeJSONSchema []byte
