/** Pages for people who are not signed in: nobody's drafts stay behind in this browser. */
import { clearDrafts } from "./drafts.js";

clearDrafts();
