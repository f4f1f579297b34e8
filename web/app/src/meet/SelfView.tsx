// The own picture in a corner of the stage, mirrored for its owner only.

import { t } from "../i18n/t";
import { Button, IconButton } from "../ui/Button";
import { CloseIcon } from "../ui/Icon";
import { useCell } from "../ui/useCell";
import { OwnPicture } from "./OwnPicture";
import styles from "./SelfView.module.css";
import { useSession } from "./session";

export function SelfView() {
  const { meeting, settings } = useSession();
  const { showSelf } = useCell(settings);
  const { on } = useCell(meeting.local.sources.camera);
  const screen = useCell(meeting.local.sources.screen);
  if (!showSelf) {
    return (
      <div key="hidden" className={styles["chip"]}>
        <span>{t("self.hidden")}</span>
        <Button data-control="self" onPress={() => settings.update((kept) => ({ ...kept, showSelf: true }))}>{t("self.show")}</Button>
      </div>
    );
  }
  return (
    <div key="shown" role="group" aria-label={t("self.label")} data-testid="self-view" className={styles["self"]}>
      <OwnPicture className={styles["picture"]}>
        {on ? null : <span className={styles["off"]}>{t("prejoin.cameraOff")}</span>}
        <span aria-hidden="true" className={styles["name"]}>{screen.on ? t("room.youSharing") : t("self.label")}</span>
      </OwnPicture>
      <div className={styles["hide"]}>
        <IconButton data-control="self" name={t("more.hideSelf")} icon={<CloseIcon />} onPress={() => settings.update((kept) => ({ ...kept, showSelf: false }))} />
      </div>
    </div>
  );
}
