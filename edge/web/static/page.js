"use strict";
// What the page does by itself: it follows the box, sends clips piece by piece, lights the lamps.
// It works without this script, too: then a clip is sent as a form, and pages are reloaded by hand.

const texts = JSON.parse(document.getElementById("texts").textContent);
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const formToken = document.querySelector("meta[name=form-token]").content;

// ---- The box, live

function follow(address) {
  const away = document.getElementById("away");
  const source = new EventSource(address);
  source.addEventListener("open", () => { away.hidden = true; });
  source.addEventListener("parts", (event) => {
    away.hidden = true;
    for (const [id, html] of Object.entries(JSON.parse(event.data))) replace(id, html);
  });
  source.addEventListener("go", (event) => {
    source.close();
    location.replace(JSON.parse(event.data));
  });
  source.addEventListener("error", () => {
    away.textContent = texts.lost;
    away.hidden = false;
    if (source.readyState === EventSource.CLOSED) setTimeout(() => follow(address), 3000);
  });
}

function replace(id, html) {
  const place = document.getElementById(id);
  if (!place) return;
  const target = place.contains(document.activeElement) && document.activeElement.getAttribute("href");
  place.innerHTML = html;
  // Whoever tabs through a list must not lose their place when it changes.
  lightLamps();
  if (target) [...place.querySelectorAll("a")].find((link) => link.getAttribute("href") === target)?.focus();
}

function lightLamps() {
  const step = still ? 0 : Math.floor(Date.now() / 125);
  for (const lamp of document.querySelectorAll(".lamp")) {
    const steps = lamp.dataset.steps;
    lamp.classList.toggle("lit", steps[step % steps.length] !== ".");
  }
}

// ---- Uploads: tus 1.0.0

const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

class Refused extends Error {
  constructor(status, problem) {
    super([problem.detail, problem.remedy].filter(Boolean).join(" ") || String(status));
    this.status = status;
  }
}

function request(method, address, headers, body, progress) {
  return new Promise((resolve, reject) => {
    const sent = new XMLHttpRequest();
    sent.open(method, address);
    sent.setRequestHeader("Tus-Resumable", "1.0.0");
    sent.setRequestHeader("X-Form-Token", formToken);
    for (const [name, value] of Object.entries(headers)) sent.setRequestHeader(name, value);
    if (progress) sent.upload.onprogress = (event) => progress(event.loaded);
    sent.onerror = sent.onabort = () => reject(new TypeError("lost"));
    sent.onload = () => {
      if (sent.status < 300) return resolve(sent);
      let problem = {};
      try { problem = JSON.parse(sent.responseText); } catch { /* not ours */ }
      reject(new Refused(sent.status, problem));
    };
    sent.send(body);
  });
}

const encoded = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

async function begin(file, first, key) {
  const known = localStorage.getItem(key);
  if (known) {
    try {
      await request("HEAD", known, {});
      return known;
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      localStorage.removeItem(key);
    }
  }
  const about = [`filename ${encoded(file.name)}`, ...(first ? [`first ${encoded(first)}`] : [])];
  const answer = await request("POST", "/api/v1/uploads", {
    "Upload-Length": String(file.size), "Upload-Metadata": about.join(","),
  });
  const address = answer.getResponseHeader("Location");
  localStorage.setItem(key, address);
  return address;
}

async function send(file, first, show) {
  const key = `upload ${file.name} ${file.size} ${file.lastModified} ${first}`;
  for (;;) {
    try {
      const address = await begin(file, first, key);
      const scan = address.split("/").pop();
      const head = await request("HEAD", address, {});
      const offset = Number(head.getResponseHeader("Upload-Offset"));
      if (offset < file.size) await request("PATCH", address, {
        "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream",
      }, file.slice(offset), (loaded) => show((offset + loaded) / file.size));
      localStorage.removeItem(key);
      return scan;
    } catch (failure) {
      if (failure instanceof Refused && ![409, 423, 503, 507].includes(failure.status)) throw failure;
      const full = failure instanceof Refused && failure.status === 507;
      show(null, full ? `${failure.message} ${texts.full}` : texts.again);
      await wait(full ? 15 : 2);
    }
  }
}

function line(file) {
  const item = document.createElement("li");
  const name = document.createElement("p");
  const bar = document.createElement("progress");
  const words = document.createElement("p");
  name.append(Object.assign(document.createElement("b"), { textContent: file.name }));
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", file.name);
  words.textContent = texts.waiting;
  item.append(name, bar, words);
  document.getElementById("uploads").prepend(item);
  return (share, said) => {
    if (share !== null) bar.value = share;
    const text = said ?? texts.sending.replace("{percent}", Math.floor(100 * bar.value));
    if (words.textContent !== text) words.textContent = text;
    return { item, bar, words };
  };
}

let sending = Promise.resolve();

function add(files, first) {
  for (const file of files) {
    const show = line(file);
    sending = sending.then(() => send(file, first, show)).then((scan) => {
      const { bar, words } = show(1, "");
      bar.remove();
      words.append(Object.assign(document.createElement("a"), { href: `/scans/${scan}`, textContent: texts.sent }));
    }, (failure) => {
      show(null, `${texts.refused} ${failure.message}`).item.classList.add("refused");
    });
  }
}

function takeUploads(form) {
  const input = form.querySelector("input[type=file]");
  const drop = document.getElementById("drop");
  const first = () => form.querySelector("select").value;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    add([...input.files], first());
    input.value = "";
  });
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) {
    drop.addEventListener(kind, () => drop.classList.remove("over"));
  }
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    add([...event.dataTransfer.files], first());
  });
}

// ---- Start

if (document.body.dataset.live) follow(document.body.dataset.live);
lightLamps();
if (!still) setInterval(lightLamps, 125);
const form = document.getElementById("upload");
if (form) takeUploads(form);
const code = document.getElementById("code");
if (code && location.hash.startsWith("#code=")) {
  code.value = location.hash.slice(6).replace(/[^0-9]/g, "");
  // It is known already, and another one would make it worthless.
  document.getElementById("show-code").hidden = true;
  history.replaceState(null, "", location.pathname + location.search);
}
// The sentence for no connection is kept on the device, in the language that was chosen last.
const spoken = document.documentElement.lang;
if ("caches" in window && localStorage.getItem("language") !== spoken) {
  caches.open("truelight-1").then((cache) => cache.add("/offline")).then(() => localStorage.setItem("language", spoken)).catch(() => {});
}
if ("serviceWorker" in navigator) navigator.serviceWorker.register("/sw.js").catch(() => {});
