// The list of keys.

import { t } from "../i18n/t";
import { Dialog } from "../ui/Dialog";
import { SHORTCUTS, written } from "./keys";
import styles from "./KeysDialog.module.css";

export function KeysDialog({ onClose }: { onClose(): void }) {
  return (
    <Dialog title={t("keys.title")} close={t("keys.close")} onClose={onClose}>
      <dl className={styles["keys"]}>
        {SHORTCUTS.map((shortcut) => (
          <div key={shortcut.text} className={styles["row"]}><dt>{t(shortcut.text)}</dt><dd><kbd>{written(shortcut)}</kbd></dd></div>
        ))}
        <div className={styles["row"]}><dt>{t("keys.regions")}</dt><dd><kbd>F6</kbd></dd></div>
        <div className={styles["row"]}><dt>{t("keys.regionsBack")}</dt><dd><kbd>Shift+F6</kbd></dd></div>
        <div className={styles["row"]}><dt>{t("keys.tiles")}</dt><dd><kbd>{t("keys.arrows")}</kbd></dd></div>
        <div className={styles["row"]}><dt>{t("keys.pages")}</dt><dd><kbd>{t("keys.pageKeys")}</kbd></dd></div>
      </dl>
    </Dialog>
  );
}
