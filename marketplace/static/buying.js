/* The buyer's desk: sums of the basket as one types; the acceptance form's sums, scanner and draft. All of it works as
   plain forms without this file, but for the camera and the draft. */
(function () {
  "use strict";

  function filled(text, values) {
    return text.replace(/\{(\w+)\}/g, function (_, name) { return values[name] === undefined ? "" : values[name]; });
  }
  function thousands(text) { return text.replace(/\B(?=(\d{3})+(?!\d))/g, ","); }
  function yuan(fen) {
    var whole = Math.floor(fen / 100), part = String(fen % 100);
    return thousands(String(whole)) + "." + (part.length < 2 ? "0" + part : part);
  }
  /* 1234500 thousandths as "1,234.5" */
  function short(thousandths) {
    var whole = Math.floor(thousandths / 1000), rest = String(thousandths % 1000);
    while (rest.length < 3) rest = "0" + rest;
    rest = rest.replace(/0+$/, "");
    return thousands(String(whole)) + (rest ? "." + rest : "");
  }
  /* What was typed, as whole thousandths; 0 for what is no amount. Full-width digits are typed by input methods. */
  function amount(text) {
    text = text.replace(/[０-９．，]/g, function (sign) {
      return sign === "．" ? "." : sign === "，" ? "," : String.fromCharCode(sign.charCodeAt(0) - 0xfee0);
    }).replace(/[\s,]/g, "");
    var found = /^(\d{1,9})(?:\.(\d{1,3}))?$/.exec(text);
    return found ? Number(found[1]) * 1000 + Number(((found[2] || "") + "000").slice(0, 3)) : 0;
  }

  /* The basket. The server decides again; here the reader only sees at once what it will say. */
  document.querySelectorAll("form[data-basket]").forEach(function (form) {
    var rows = Array.prototype.slice.call(form.querySelectorAll("tr[data-line]")).map(function (row) {
      return {
        row: row, product: row.dataset.product, ladder: JSON.parse(row.dataset.ladder), net: Number(row.dataset.net),
        min: Number(row.dataset.min), multiple: Number(row.dataset.multiple), pack: row.dataset.pack,
        amount: row.querySelector("input[name$='-quantity']"), unit: row.querySelector("select[name$='-unit']"),
        hint: row.querySelector("[data-hint]"), price: row.querySelector("[data-price]"), next: row.querySelector("[data-next]"),
        goods: row.querySelector("[data-goods]"), counts: row.querySelector(".tag--yes") !== null
      };
    });
    function packs(line) {
      var typed = amount(line.amount.value), unit = line.unit.value;
      if (unit === "pack") return Math.ceil(typed / 1000);
      var grams = unit === "kg" ? typed : Math.ceil(typed / 2);
      return Math.ceil(Math.ceil(grams / line.net) / line.multiple) * line.multiple;
    }
    function step(ladder, quantity) {
      var found = ladder[0];
      ladder.forEach(function (each) { if (each[0] <= quantity) found = each; });
      return found;
    }
    function say(line, quantity, total) {
      var unit = line.unit.value, per = unit === "kg" ? 1000 : 500, typed = amount(line.amount.value), text = "";
      if (unit !== "pack" && quantity) {
        var ordered = quantity * line.net, exact = Math.round((unit === "kg" ? typed : typed / 2) * 100 / line.net) / 100;
        text = filled(form.dataset.sumText, {
          amount: line.amount.value.trim(), exact: exact, packs: thousands(String(quantity)), pack: line.pack,
          unit: unit === "kg" ? form.dataset.kg : form.dataset.jin, weight: short(ordered * 1000 / per),
          extra: short(Math.max(0, Math.round(ordered * 1000 / per) - typed))
        });
        /* One multiple less, where it lacks no more than a twentieth of what was asked. */
        var fewer = quantity - line.multiple, lacking = typed - Math.round(fewer * line.net * 1000 / per);
        if (fewer >= line.min && ordered * 1000 / per > typed && lacking * 20 <= typed) text += filled(form.dataset.fewerText, {
          packs: thousands(String(fewer)), pack: line.pack, lacking: short(lacking),
          unit: unit === "kg" ? form.dataset.kg : form.dataset.jin, percent: (lacking * 100 / typed).toFixed(2) + "%"
        });
      } else if (quantity) {
        text = short(quantity * line.net) + form.dataset.kg + "（" + short(quantity * line.net * 2) + form.dataset.jin + "）";
      }
      if (quantity && total < line.min) text += "。" + filled(form.dataset.minText, { min: line.min, pack: line.pack });
      else if (quantity && total % line.multiple) {
        var low = total - total % line.multiple;
        text += "。" + filled(form.dataset.multipleText, {
          multiple: line.multiple, pack: line.pack, low: Math.max(low, line.min), high: low + line.multiple
        });
      }
      line.hint.textContent = text;
    }
    function count() {
      var totals = {}, sum = 0, counted = 0, groups = [];
      rows.forEach(function (line) { totals[line.product] = (totals[line.product] || 0) + packs(line); });
      rows.forEach(function (line) {
        if (!line.ladder.length) return;
        var quantity = packs(line), total = totals[line.product], now = step(line.ladder, total), goods = now[1] * quantity;
        line.price.textContent = yuan(now[1]);
        line.goods.textContent = yuan(goods);
        say(line, quantity, total);
        var later = line.ladder.filter(function (each) { return each[0] > total && each[1] < now[1]; })[0];
        if (line.next && later) line.next.textContent = filled(form.dataset.nextText, {
          more: thousands(String(later[0] - total)), pack: line.pack, price: yuan(later[1]), saves: yuan((now[1] - later[1]) * later[0])
        });
        else if (line.next) line.next.textContent = line.ladder.length > 1 ? form.dataset.lastText : "";
        sum += goods;
        if (line.counts) counted += goods;
        var panel = line.row.closest("section").querySelector("[data-group-sum]");
        var known = groups.filter(function (each) { return each.panel === panel; })[0];
        if (known) known.sum += goods; else groups.push({ panel: panel, sum: goods });
      });
      groups.forEach(function (each) { each.panel.textContent = yuan(each.sum); });
      form.querySelector("[data-total]").textContent = yuan(sum);
      form.querySelector("[data-counted]").textContent = yuan(counted);
      measure(sum);
    }
    /* How the goods stand to the budget, and what they come to for each person and day. */
    function measure(sum) {
      var place = form.querySelector("[data-budget]"), typed = form.querySelector("input[name=budget_fen]");
      var perHead = form.querySelector("[data-per-head]"), budget = typed ? Math.floor(amount(typed.value) / 10) : 0;
      if (perHead) perHead.textContent = yuan(Math.round(sum / Number(perHead.dataset.meals)));
      place.hidden = !budget;
      if (!budget) return;
      var apart = Math.abs(sum - budget), near = apart * 20 <= budget, said = place.querySelector("[data-budget-said]");
      place.querySelector("[data-budget-sum]").textContent = yuan(budget);
      said.className = near ? "ok" : "warn";
      said.textContent = filled(sum > budget ? place.dataset.over : place.dataset.under, {
        percent: (Math.floor((apart * 20000 + budget) / (2 * budget)) / 100).toFixed(2) + "%"
      }) + (near ? place.dataset.near : "");
    }
    form.addEventListener("input", function (event) {
      if (/-(quantity|unit)$|^budget_fen$/.test(event.target.name)) count();
    });
    form.addEventListener("change", function (event) {
      if (/-unit$/.test(event.target.name)) count();
    });
  });

  /* Acceptance at the gate. Text goes to this browser's storage as one types; a form that could not be sent is kept
     with its photos and sent once, under its own key, when the signal returns. */
  var STORE = "acceptances";
  function database(act, fail) {
    if (!window.indexedDB) { fail(); return; }
    var opening = indexedDB.open("marketplace", 1);
    opening.onupgradeneeded = function () { opening.result.createObjectStore(STORE); };
    opening.onerror = fail;
    opening.onsuccess = function () { act(opening.result); };
  }
  function put(key, value, then, fail) {
    database(function (base) {
      var change = base.transaction(STORE, "readwrite");
      if (value === null) change.objectStore(STORE).delete(key); else change.objectStore(STORE).put(value, key);
      change.oncomplete = then; change.onerror = fail;
    }, fail);
  }
  function take(key, then, fail) {
    database(function (base) {
      var asked = base.transaction(STORE).objectStore(STORE).get(key);
      asked.onsuccess = function () { then(asked.result); };
      asked.onerror = fail;
    }, fail);
  }
  function clock() {
    var now = new Date(), minute = String(now.getMinutes());
    return now.getHours() + ":" + (minute.length < 2 ? "0" + minute : minute);
  }

  document.querySelectorAll("form[data-accept]").forEach(function (form) {
    var key = "accept:" + form.dataset.accept, said = form.querySelector("[data-draft-said]");
    var lots = Array.prototype.slice.call(form.querySelectorAll("[data-lot]"));

    function number(lot, name) {
      var typed = lot.querySelector("input[name$='-" + name + "']").value.trim();
      return /^\d{1,9}$/.test(typed) ? Number(typed) : 0;
    }
    function check() {
      var sum = 0;
      lots.forEach(function (lot) {
        var place = lot.querySelector("[data-said]"), unit = lot.dataset.unit;
        var chosen = lot.querySelector("input[type=checkbox]").checked;
        var accepted = number(lot, "accepted_quantity"), refused = number(lot, "refused_quantity");
        var over = accepted + refused - Number(lot.dataset.waitingPacks), text = "";
        if (chosen && over > 0) text = filled(form.dataset.over, { accepted: accepted, refused: refused, over: over, unit: unit });
        else if (chosen && over < 0) text = filled(form.dataset.left, { left: -over, unit: unit });
        place.hidden = !text;
        place.textContent = text;
        place.className = over > 0 ? "err" : "hint";
        if (refused) lot.querySelector("details").open = true;
        if (chosen) {
          var off = amount(lot.querySelector("input[name$='-allowance_fen']").value);
          sum += accepted * Number(lot.dataset.price) - Math.round(off / 10);
        }
      });
      form.querySelector("[data-total]").textContent = filled(form.dataset.money, { sum: yuan(Math.max(0, sum)) });
    }

    /* The draft: text fields only, under the order's id. */
    function fields() {
      return Array.prototype.filter.call(form.elements, function (each) {
        return each.name && each.name !== "_once" && each.name !== "document_id" && each.type !== "file" && each.type !== "hidden";
      });
    }
    function keep() {
      var draft = { time: clock(), values: {} };
      fields().forEach(function (each) { draft.values[each.name] = each.type === "checkbox" ? each.checked : each.value; });
      try { localStorage.setItem(key, JSON.stringify(draft)); } catch (full) { return; }
      said.textContent = filled(form.dataset.saved, { time: draft.time });
    }
    function forget() { try { localStorage.removeItem(key); } catch (none) { /* no storage, no draft */ } }
    function restore() {
      var draft = null;
      try { draft = JSON.parse(localStorage.getItem(key)); } catch (broken) { draft = null; }
      if (!draft || !draft.values || form.dataset.refused) return;
      fields().forEach(function (each) {
        if (!Object.prototype.hasOwnProperty.call(draft.values, each.name)) return;
        if (each.type === "checkbox") each.checked = draft.values[each.name] === true;
        else each.value = String(draft.values[each.name]);
      });
      said.textContent = filled(form.dataset.restored, { time: draft.time }) + " ";
      var drop = document.createElement("button");
      drop.type = "button"; drop.className = "link"; drop.textContent = form.dataset.forget;
      drop.addEventListener("click", function () { forget(); form.reset(); said.textContent = ""; check(); });
      said.appendChild(drop);
    }

    /* Sending: the same key each time, so the server does it once however often it hears of it. */
    var sending = false;
    function send(parts) {
      if (sending) return;
      sending = true;
      said.textContent = form.dataset.sending;
      var body = new FormData();
      parts.forEach(function (part) {
        if (part[1] instanceof Blob) body.append(part[0], part[1], part[1].name || "photo.jpg"); else body.append(part[0], part[1]);
      });
      fetch(form.action || window.location.pathname, { method: "POST", body: body, credentials: "same-origin" }).then(function (answer) {
        sending = false;
        /* The session had ended meanwhile: sign in, come back, and it is sent then. */
        if (new URL(answer.url).pathname === "/sign-in" || answer.status === 401) {
          var signIn = function () { window.location.href = "/sign-in?next=" + encodeURIComponent(window.location.pathname); };
          put(key, parts, signIn, signIn);
          return;
        }
        /* The server, or what stands before it, can't now: nothing of it was refused, and the photos are only here. */
        if (answer.status >= 500 || answer.status === 429) { wait(parts, form.dataset.busy); return; }
        put(key, null, function () {}, function () {});
        if (answer.ok && answer.redirected) { forget(); window.location.href = answer.url; return; }
        /* Refused: the browser asks again by itself and shows the page with its reasons. */
        HTMLFormElement.prototype.submit.call(form);
      }, function () {
        sending = false;
        wait(parts, form.dataset.waiting);
      });
    }
    function wait(parts, why) {
      function tell() { said.textContent = why; }
      put(key, parts, tell, tell);
    }
    function parts() {
      var found = [];
      new FormData(form).forEach(function (value, name) {
        if (!(value instanceof Blob) || value.size) found.push([name, value]);
      });
      return found;
    }
    if (window.fetch && window.FormData) form.addEventListener("submit", function (event) {
      event.preventDefault();
      form.dataset.sent = "";
      keep();
      shrinking.then(function () { send(parts()); });
    });
    function again() { take(key, function (kept) { if (kept) send(kept); }, function () {}); }
    window.addEventListener("online", again);
    /* A phone on a weak signal never says that it was offline. */
    window.setInterval(again, 30000);

    /* Labels: the camera where the browser can read codes itself, a photo read by the server elsewhere. */
    var scanner = form.querySelector("[data-scanner]"), result = form.querySelector("[data-scan-said]");
    function found(code) {
      var lot = lots.filter(function (each) { return each.dataset.lot === code; })[0];
      if (!lot) { result.className = "bad"; result.textContent = form.dataset.wrongCode + code; return; }
      result.className = "ok"; result.textContent = form.dataset.rightCode;
      var mark = lot.querySelector("[data-matched]");
      mark.hidden = false; mark.textContent = form.dataset.rightCode + " ";
      lot.scrollIntoView({ block: "center" });
      lot.querySelector("input[name$='-accepted_quantity']").focus({ preventScroll: true });
    }
    scanner.hidden = !window.fetch;
    scanner.querySelector("input[type=file]").addEventListener("change", function (event) {
      var photo = event.target.files[0];
      if (!photo) return;
      var body = new FormData();
      body.append("photo", photo);
      fetch(form.dataset.scan, { method: "POST", body: body, credentials: "same-origin", headers: { Accept: "application/json" } })
        .then(function (answer) { return answer.ok ? answer.json() : null; })
        .then(function (read) {
          event.target.value = "";
          if (read && read.trace_code) found(read.trace_code); else { result.className = "bad"; result.textContent = form.dataset.noCode; }
        }).catch(function () { result.className = "bad"; result.textContent = form.dataset.noSignal; });
    });
    var camera = scanner.querySelector("[data-camera]");
    if ("BarcodeDetector" in window && navigator.mediaDevices && navigator.mediaDevices.getUserMedia) {
      camera.hidden = false;
      camera.addEventListener("click", function () {
        navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }).then(function (stream) {
          var video = document.createElement("video"), detector = new window.BarcodeDetector({ formats: ["qr_code"] });
          video.className = "scanner"; video.setAttribute("playsinline", ""); video.muted = true; video.srcObject = stream;
          scanner.insertAdjacentElement("afterend", video);
          function stop() { stream.getTracks().forEach(function (track) { track.stop(); }); video.remove(); }
          function look() {
            if (!video.isConnected) return;
            detector.detect(video).then(function (codes) {
              var read = codes.map(function (each) { return /([0-9A-Z]{20})$/.exec(each.rawValue.replace(/-/g, "").toUpperCase()); }).filter(Boolean)[0];
              if (read) { stop(); found(read[1]); } else window.setTimeout(look, 200);
            }, function () { window.setTimeout(look, 400); });
          }
          video.play().then(look);
          window.setTimeout(stop, 60000);
        }, function () { camera.hidden = true; });
      });
    }

    /* A phone's photo is many times larger than what shows a damage: it is made small before it travels. */
    var photos = form.querySelector("input[name=photos]");
    function small(photo) {
      if (!/^image\//.test(photo.type) || photo.size < 800000 || !window.createImageBitmap) return Promise.resolve(photo);
      return createImageBitmap(photo).then(function (image) {
        var scale = Math.min(1, 1800 / Math.max(image.width, image.height)), canvas = document.createElement("canvas");
        canvas.width = Math.round(image.width * scale); canvas.height = Math.round(image.height * scale);
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
        return new Promise(function (done) {
          canvas.toBlob(function (blob) {
            done(blob ? new File([blob], photo.name.replace(/\.\w+$/, "") + ".jpg", { type: "image/jpeg" }) : photo);
          }, "image/jpeg", 0.82);
        });
      }).catch(function () { return photo; });
    }
    var shrinking = Promise.resolve();
    photos.addEventListener("change", function () {
      var chosen = Array.prototype.slice.call(photos.files);
      shrinking = Promise.all(chosen.map(small)).then(function (ready) {
        var carrier = new DataTransfer();
        ready.forEach(function (photo) { carrier.items.add(photo); });
        photos.files = carrier.files;
      }).catch(function () { /* the photos go as they are */ });
    });

    form.addEventListener("input", function () { check(); keep(); });
    restore();
    check();
    again();
  });
})();
