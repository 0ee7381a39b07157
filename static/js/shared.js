/** A shared conversation: times and copying, and where it is live the newest now and then. */
import { adoptArticles, mergeThread } from "./articles.js";
import { startCode } from "./code.js";
import { byId, parse, request } from "./dom.js";
import { showTimes, startTimes } from "./times.js";

const pause = Number(document.body.dataset.poll) * 1000;

async function poll() {
  if (!document.hidden) {
    const address = new URL(location);
    address.searchParams.set("rev", byId("messages").dataset.revision);
    const response = await request(address).catch(() => null);
    if (response?.redirected || [404, 410].includes(response?.status)) {
      location.reload(); // the page says why
      return;
    }
    if (response?.status === 200) {
      const page = parse(await response.text()).querySelector("#messages");
      mergeThread(page, true);
      byId("messages").dataset.revision = page.dataset.revision;
      showTimes(byId("messages"));
    }
  }
  setTimeout(poll, pause);
}

startTimes();
startCode();
adoptArticles();
if (pause) setTimeout(poll, pause);
document.documentElement.dataset.ready = "shared";
