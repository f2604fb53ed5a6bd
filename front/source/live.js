// Keeps a page fresh: the server says on a stream that something changed, and the page looks again. Without a stream it
// looks every few seconds. Pages that nobody sees hold no stream: a browser has few connections to one server.
import { refresh } from "./refreshing.js";

const LEAST = 1000; // milliseconds between two looks, while a stream says when
const SHARE = 5; // looking takes at most one part in so many of the time
const POLL = 3000;
const ANYWAY = 60_000; // also with a stream: what shows how long ago something was grows old by itself
const AGAIN = 60_000; // until a stream is asked for again that was refused

const { topics, mark } = document.body.dataset;
const connection = document.getElementById("connection");
let stream = null;
let seen = mark;
let refused = 0;
let timer = 0;
let due = Number.POSITIVE_INFINITY;
let earliest = 0;
let busy = false;
let missed = false;

function show(state) {
  document.body.dataset.live = state;
  const words = state === "lost" ? connection.dataset.lost : "";
  if (connection.textContent !== words) connection.textContent = words; // said once, not at every try
}

function plan(milliseconds) {
  const at = Math.max(performance.now() + milliseconds, earliest);
  if (at >= due) return;
  due = at;
  clearTimeout(timer);
  timer = setTimeout(look, at - performance.now());
}

async function look() {
  due = Number.POSITIVE_INFINITY;
  if (document.hidden) return;
  if (busy) {
    missed = true;
    return;
  }
  busy = true;
  missed = false;
  const began = performance.now();
  const answered = await refresh();
  busy = false;
  const took = performance.now() - began;
  earliest = performance.now() + Math.max(LEAST, SHARE * took);
  show(answered ? (stream ? "stream" : "polling") : "lost");
  if (!stream && topics && performance.now() > refused + AGAIN) listen();
  plan(missed ? 0 : answered && stream ? ANYWAY : POLL);
}

function listen() {
  const query = new URLSearchParams([...topics.split(" ").map((each) => ["topic", each]), ["since", seen]]);
  stream = new EventSource(`/live?${query}`);
  stream.addEventListener("open", () => show("stream"));
  stream.addEventListener("changed", (event) => {
    seen = event.data;
    plan(0);
  });
  stream.addEventListener("over", () => {
    stop();
    plan(0); // which finds that nobody is signed in any more, or listens anew
  });
  stream.addEventListener("error", () => {
    if (stream?.readyState !== EventSource.CLOSED) return plan(POLL); // the browser opens it anew
    stop();
    refused = performance.now();
    plan(POLL);
  });
}

function stop() {
  stream?.close();
  stream = null;
}

function begin() {
  if (topics && !stream) listen();
  plan(stream ? ANYWAY : POLL);
}

if (document.querySelector("[data-live]")) {
  if (!document.hidden) begin();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return stop();
    begin();
    plan(0);
  });
  addEventListener("pagehide", stop);
}
// A page taken out of the browser's memory is old, and may belong to somebody who signed out.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
