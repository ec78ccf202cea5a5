// A card of the shape of the one in Intercom's tutorial for the Inbox: one Express server that checks the
// signature over the raw body, and answers initialize with a few components. It keeps nothing and asks nobody.
// https://developers.intercom.com/docs/build-an-integration/getting-started/build-an-app-for-your-inbox
"use strict";

const crypto = require("node:crypto");
const express = require("express");

const secret = process.env.CLIENT_SECRET;
const app = express();

// Signatures are over the bytes as they came.
app.use(express.json({ verify: (request, _response, bytes) => { request.bytes = bytes; } }));

function isSigned(request) {
  const given = Buffer.from(request.get("X-Body-Signature") || "");
  const wanted = Buffer.from(crypto.createHmac("sha256", secret).update(request.bytes || "").digest("hex"));
  return given.length === wanted.length && crypto.timingSafeEqual(given, wanted);
}

app.post("/canvas/initialize", (request, response) => {
  if (!isSigned(request)) {
    response.status(401).json({ error: "signature_wrong" });
    return;
  }
  response.json({
    canvas: {
      content: {
        components: [
          { type: "text", text: "*Create a submission*", style: "header" },
          { type: "input", id: "title", label: "Title", placeholder: "Enter a title here" },
          { type: "textarea", id: "description", label: "Description", placeholder: "Enter a description" },
          { type: "dropdown", id: "kind", label: "Kind", options: [
            { type: "option", id: "interview", text: "Interview" },
            { type: "option", id: "survey", text: "Survey" },
          ] },
          { type: "button", id: "submit", label: "Submit", style: "primary", action: { type: "submit" } },
        ],
      },
    },
  });
});

app.listen(Number(process.env.PORT), "127.0.0.1");
