"""Generated provocations: payloads from schemas, requests from OpenAPI, sequences from AsyncAPI's machines and causes."""
