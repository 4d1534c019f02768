// The session's cookie belongs to this origin, so a call from this page carries it.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  withCredentials: true,
});
