// Package api is the station's HTTP API for the cash-register software (POS), the event stream, and the door of the
// cashier's page. The contract is OpenAPI 3.1 at /openapi.json; a copy in testdata is compared by a test, so that what
// is published changes only on purpose.
//
// It promises:
//   - a call may be repeated after any failure of the network or of either program: same id and same content, same
//     answer; same id and other content, 409 and nothing changed;
//   - every refusal is an RFC 9457 problem with a stable code and a sentence for the cashier in Russian and English, by
//     one table ([Problem]);
//   - nobody is served without the token or a session made with it, nor under a foreign Host or Origin: a hostile page
//     in the same browser and another name for the same address get nothing;
//   - bodies, headers, connections, concurrent calls and listeners to events are bounded in size, time and number; a slow
//     listener is cut off and resumes, and never holds up anyone else ([Hub]);
//   - card numbers and tokens are never logged, and no secret stands in a URL that reaches a server.
//
// It does not promise that an event is seen (a counter that was away refetches the status), nor does it decide anything
// about points: that is agent/loyalty behind the [Desk].
package api
